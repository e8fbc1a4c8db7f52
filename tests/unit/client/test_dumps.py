import faulthandler
import tempfile
import threading

from hypothesis import given
from hypothesis import strategies as st

from datacat.client.dumps import parse


def dumped():
    with tempfile.TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read().decode()


def test_a_dump_has_every_thread_outermost_frame_first_the_wanted_one_before_all():
    started, stop = threading.Event(), threading.Event()

    def standing_here():
        started.set()
        stop.wait()

    thread = threading.Thread(target=standing_here)
    thread.start()
    started.wait()
    text = dumped()
    stop.set()
    thread.join()
    assert thread.ident is not None
    stacks = parse(text, {threading.main_thread().ident or 0: "MainThread"}, first=thread.ident)
    assert "standing_here" in [frame["function"] for frame in stacks[0]["frames"]]
    assert stacks[0]["frames"][0]["function"] == "_bootstrap"
    assert stacks[1]["thread"] == "MainThread"
    assert stacks[1]["frames"][-1]["function"] == "dumped"
    assert "dump_traceback" in stacks[1]["frames"][-1]["code"]


def test_a_thread_that_was_not_printed_has_no_other_in_its_place():
    text = 'Thread 0x00007f1 (most recent call first):\n  File "/a.py", line 3 in f\n...\n'
    asked, other = parse(text, {0x7F2: "MainThread"}, first=0x7F2)
    assert (asked["thread"], asked["frames"]) == ("MainThread", [])
    assert [frame["function"] for frame in other["frames"]] == ["f"]
    assert parse("", {0x7F2: "MainThread"}, first=0x7F2) == []


@given(st.text())
def test_whatever_was_printed_is_read_without_harm(text):
    parse(text, {}, first=0)


@given(st.integers(min_value=0, max_value=2000))
def test_a_dump_cut_anywhere_keeps_what_is_whole(length):
    whole = 'Thread 0x00007f1 (most recent call first):\n  File "/a.py", line 3 in f\n  File "/a.py", line 9 in g\n'
    for stack in parse(whole[:length], {}, first=0):
        assert [frame["function"] for frame in stack["frames"]][::-1] in (
            [],
            ["f"],
            ["f", "g"],
            [""],
            ["f", ""],
        )


def test_a_program_that_waits_for_a_child_stands_in_its_own_line():
    text = """Thread 0x01 (most recent call first):
  File "/opt/datacat/client/children.py", line 82 in waiting
  File "/srv/worker.py", line 7 in main
"""
    ((frame,),) = [stack["frames"] for stack in parse(text, {}, first=1)]
    assert frame["function"] == "main"
