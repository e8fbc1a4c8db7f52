"""A session that is over leaves nothing behind in its program: a worker may make one for each job, for years."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.acceptance.programs import run, sessions_of
from tests.acceptance.test_verdicts import watchdogs
from tests.forks import run_datacat

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what runs and is open is counted in /proc")

WORKER = """
import contextlib, datacat, gc, json, os, sys
def job():
    with datacat.create_session(product="job", watchdog=sys.argv[1] != "alone") as session:
        if session._watchdog is not None:
            session._watchdog.wait(30)
        session.start_heartbeat_monitor(timeout=60)
        session.log_event("done")
        if sys.argv[1] == "leaving":
            raise SystemExit(0)
for line in sys.stdin:
    for _ in range(int(line)):
        with contextlib.suppress(SystemExit):
            job()
    gc.collect()  # a session's own memory goes when Python comes to it
    print(json.dumps([len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))]), flush=True)
"""


@contextmanager
def worker(how: str) -> Iterator[Callable[[int], list[int]]]:
    """A program that does so many jobs when it is asked to, and says how many threads and files it has then."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        asked, answered = program.stdin, program.stdout

        def jobs(number: int) -> list[int]:
            asked.write(f"{number}\n")
            asked.flush()
            found: list[int] = json.loads(answered.readline())
            return found

        yield jobs
        asked.close()
        assert program.wait(30) == 0


def settled(
    jobs: Callable[[int], list[int]], wanted: Callable[[list[int], list[str]], bool]
) -> tuple[list[int], list[str]]:
    """What :func:`worker` says, and the watchdogs, when they are as ``wanted``, or have had the time for it."""
    deadline = time.monotonic() + 30
    while not wanted(now := jobs(0), watching := watchdogs()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return now, watching


@pytest.mark.parametrize("how", ["alone", "watched"])
def test_jobs_one_after_the_other_leave_no_thread_no_file_and_no_watchdog(
    service, journals, monkeypatch, how
):
    monkeypatch.setenv("DATACAT_URL", service.url)
    with worker(how) as jobs:
        jobs(2)
        (threads, files), watching = settled(jobs, lambda now, watching: now[0] == 1 and not watching)
        assert (threads, watching) == (1, [])
        jobs(5)
        rested = settled(jobs, lambda now, watching: now == [1, files] and not watching)
        assert rested == ([1, files], [])
    found = sessions_of(service.url, "job")
    assert [session["status"] for session in found] == ["ended"] * 7
    assert list(journals.iterdir()) == []


def test_jobs_that_leave_by_an_exit_that_is_caught_leave_no_more_than_one_of_them_does(
    service, journals, monkeypatch
):
    monkeypatch.setenv("DATACAT_URL", service.url)
    with worker("leaving") as jobs:
        jobs(2)
        (threads, files), watching = settled(jobs, lambda now, watching: now[0] == len(watching) == 1)
        assert (threads, len(watching)) == (1, 1)
        jobs(5)
        now, watching = settled(jobs, lambda now, watching: now == [1, files] and len(watching) == 1)
        assert (now, len(watching)) == ([1, files], 1)
    found = sessions_of(service.url, "job")
    assert [(session["status"], session["cause"]) for session in found] == [("ended", "clean")] * 7
    assert list(journals.iterdir()) == []


def test_how_a_program_ends_says_nothing_of_a_session_that_it_outlived(service, journals):
    code = """
        import contextlib, datacat, os
        with contextlib.suppress(SystemExit), datacat.create_session(product="first", watchdog=True) as first:
            first._watchdog.wait(30)
            raise SystemExit(0)
        second = datacat.create_session(product="second", watchdog=True)
        second._watchdog.wait(30)
        second.flush(30)
        os.kill(os.getpid(), 9)
    """
    assert run(code, service.url).returncode == -9
    deadline = time.monotonic() + 30
    while watchdogs() and time.monotonic() < deadline:
        time.sleep(0.05)
    found = [*sessions_of(service.url, "first"), *sessions_of(service.url, "second")]
    assert [(session["status"], session["cause"]) for session in found] == [
        ("ended", "clean"), ("crashed", "signal"),
    ]  # fmt: skip


def test_what_is_recorded_after_the_end_is_delivered_and_comes_to_rest_again(service, journals, monkeypatch):
    monkeypatch.setenv("DATACAT_URL", service.url)
    code = """
import datacat, os, threading, time
session = datacat.create_session(product="late")
session.end()
def rest():
    deadline = time.monotonic() + 30
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return threading.active_count(), os.listdir(os.environ["DATACAT_JOURNAL_DIR"])
print(rest())
for n in range(3):
    session.log_event("late", {"n": n})
    session.log_metric("late", n)
    print(session.flush(30), rest())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines() == ["(1, [])", *["True (1, [])"] * 3]
    (session,) = sessions_of(service.url, "late")
    assert [event["data"]["n"] for event in session["events"]] == [0, 1, 2]
    assert (session["status"], session["lost"], len(session["metrics"])) == ("ended", 0, 3)


def test_jobs_that_cannot_be_delivered_leave_one_thread_and_are_delivered_by_it(
    service, journals, monkeypatch
):
    monkeypatch.setenv("DATACAT_URL", service.url)
    service.kill()
    with worker("alone") as jobs:
        jobs(9)
        deadline = time.monotonic() + 30
        while (threads := jobs(0)[0]) != 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert threads == 2
        assert len(list(journals.iterdir())) == 9
        service.start()
        while len(list(journals.iterdir())) and time.monotonic() < deadline + 60:
            time.sleep(0.1)
    found = sessions_of(service.url, "job")
    assert [(session["status"], session["cause"]) for session in found] == [("ended", "clean")] * 9
    assert list(journals.iterdir()) == []


def test_what_is_recorded_late_and_cannot_be_delivered_leaves_one_thread_and_is_delivered_by_it(
    service, journals, monkeypatch
):
    monkeypatch.setenv("DATACAT_URL", service.url)
    service.kill()
    code = """
import datacat, sys, threading, time
for _ in range(5):
    session = datacat.create_session(product="late")
    session.end()
    session.log_event("late")
deadline = time.monotonic() + 60
while threading.active_count() > 2 and time.monotonic() < deadline:
    time.sleep(0.01)
print([thread.name for thread in threading.enumerate()], flush=True)
sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as late:
        assert late.stdin is not None
        assert late.stdout is not None
        assert late.stdout.readline() == "['MainThread', 'datacat-leftovers']\n"
        service.start()
        deadline = time.monotonic() + 60
        while list(journals.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.1)
        late.stdin.close()
        assert late.wait(30) == 0
    assert list(journals.iterdir()) == []
    found = sessions_of(service.url, "late")
    assert [
        (session["cause"], session["lost"], [event["name"] for event in session["events"]])
        for session in found
    ] == [("clean", 0, ["late"])] * 5


def test_what_is_recorded_late_and_never_delivered_is_no_second_end(service, journals, monkeypatch):
    monkeypatch.setenv("DATACAT_URL", service.url)
    code = """
import datacat, os, sys
session = datacat.create_session(product="late")
session.end()
sys.stdin.readline()
session.log_event("late")
os._exit(0)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as late:
        assert late.stdin is not None
        deadline = time.monotonic() + 30
        while (
            not sessions_of(service.url, "late")[:1]
            or sessions_of(service.url, "late")[0]["status"] != "ended"
        ):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        service.kill()
        late.stdin.write("\n")
        late.stdin.close()
        assert late.wait(30) == 0
    service.start()
    assert run_datacat("flush").returncode == 0
    (session,) = sessions_of(service.url, "late")
    assert [event["name"] for event in session["events"]] == ["late"]
    assert (session["status"], session["cause"], session["exit"]) == ("ended", "clean", None)
