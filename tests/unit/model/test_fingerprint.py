import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacat.model.fingerprint import crash_fingerprint, crash_frames, hang_fingerprint, steady_frames

names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
frames = st.lists(st.tuples(names, names, st.integers(0, 10**6)), min_size=1, max_size=8)
folders = st.sampled_from(["", "/home/me/", "/opt/app-2.0/", "C:\\Program Files\\app\\"])

FRAME = '  File "/app/a.py", line 7 in boom\n'
OTHER_THREAD = 'Thread 0x2 [worker] (most recent call first):\n  File "/lib/threading.py", line 3 in wait\n\n'


def stack(named, folder="/", moved=0):
    return [
        {"file": f"{folder}{file}.py", "line": line + moved, "function": function, "code": str(moved)}
        for file, function, line in named
    ]


def hang(named, *samples, **how):
    return {
        "stacks": [{"thread": "MainThread", "frames": stack(named, **how)}],
        "samples": [{"frames": stack(each, **how)} for each in samples],
    }


@given(frames, folders, folders, st.integers(0, 10**6))
def test_neither_lines_nor_paths_change_the_fingerprint_of_a_hang(named, here, there, moved):
    assert hang_fingerprint(hang(named, folder=here)) == hang_fingerprint(
        hang(named, folder=there, moved=moved)
    )


@given(frames, folders, folders, st.integers(0, 10**6))
def test_neither_lines_nor_paths_change_the_fingerprint_of_a_crash(named, here, there, moved):
    def traceback(folder, moved):
        lines = "".join(f'  File "{folder}{f}.py", line {n + moved}, in {g}\n    code\n' for f, g, n in named)
        return {
            "type": "ValueError",
            "traceback": f"Traceback (most recent call last):\n{lines}ValueError: {moved}\n",
        }

    one, other = traceback(here, 0), traceback(there, moved)
    assert crash_fingerprint("exception", one) == crash_fingerprint("exception", other)
    dump = "Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n"
    dumps = [
        {
            "signal": 11,
            "dump": dump
            + "".join(f'  File "{folder}{f}.py", line {n + by} in {g}\n' for f, g, n in reversed(named)),
        }
        for folder, by in ((here, 0), (there, moved))
    ]
    assert len({crash_fingerprint("interpreter_crash", each) for each in dumps}) == 1


@pytest.mark.parametrize(
    ("dump", "functions"),
    [
        (OTHER_THREAD + "Current thread 0x1 [python] (most recent call first):\n" + FRAME, ["boom"]),
        (OTHER_THREAD + "Current thread 0x1 (most recent call first):\n  <no Python frame>\n", []),
        (OTHER_THREAD + "<freed thread state>\n", []),
        ("Stack (most recent call first):\n" + FRAME, ["boom"]),
    ],
)
def test_what_fell_over_is_never_said_to_be_another_thread(dump, functions):
    """Python 3.14 breaks a dump off at a thread that is just being started."""
    details = {"dump": f"Fatal Python error: Segmentation fault\n\n{dump}"}
    assert [frame.function for frame in crash_frames(details)] == functions


def test_another_function_is_another_fingerprint():
    fingerprints = {
        hang_fingerprint(hang([("app", "main", 1), ("app", function, 2)])) for function in ("read", "write")
    }
    assert len(fingerprints) == 2


def test_a_spinning_loop_has_one_fingerprint_whatever_it_was_seen_to_call():
    loop = [("app", "main", 1), ("app", "crunch", 2)]
    inside = [[*loop, ("app", "square", 3)], [*loop, ("app", "cube", 4)], loop]
    found = {
        hang_fingerprint(hang(seen, *samples))
        for seen, *samples in (
            (inside[0], inside[1]),
            (inside[1], inside[0]),
            (loop, *inside),
            (inside[0], loop),
        )
    }
    assert len(found) == 1
    assert [frame.function for frame in steady_frames(hang(inside[0], inside[1]))] == ["main", "crunch"]


def test_samples_that_agree_on_nothing_leave_the_stack_as_it_is():
    data = hang([("app", "main", 1)], [("other", "main", 1)])
    assert [frame.file for frame in steady_frames(data)] == ["/app.py"]


def test_the_thread_whose_heartbeat_stopped_is_the_one_that_counts():
    stacks = [{"thread": name, "frames": stack([("app", name, 1)])} for name in ("MainThread", "loop")]
    of_loop = hang_fingerprint({"thread": "loop", "stacks": stacks})
    assert of_loop == hang_fingerprint({"stacks": stacks[1:]})
    assert of_loop != hang_fingerprint({"stacks": stacks})


def test_how_deep_a_recursion_went_does_not_matter_nor_where_the_thread_began():
    start = [("threading", "Thread._bootstrap", 1), ("threading", "Thread.run", 2)]
    deep = [*start, *[("app", "walk", 3)] * 40, ("app", "read", 4)]
    assert hang_fingerprint(hang(deep)) == hang_fingerprint(hang([("app", "walk", 3), ("app", "read", 4)]))


def test_of_chained_exceptions_the_last_one_counts():
    first = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nKeyError: 1\n'
    last = 'Traceback (most recent call last):\n  File "a.py", line 2, in g\nValueError: 2\n'
    chained = f"{first}\nDuring handling of the above exception, another exception occurred:\n\n{last}"
    of = [
        crash_fingerprint("exception", {"type": "ValueError", "traceback": text}) for text in (chained, last)
    ]
    assert of[0] == of[1]


def test_crashes_without_frames_are_told_apart_by_signal_and_exit_code():
    details = [{"signal": 9}, {"signal": 11}, {"exit_code": 9}]
    assert len({crash_fingerprint("signal", each) for each in details}) == 3
