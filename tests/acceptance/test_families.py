"""Programs that are several processes, or several programs: each is told apart."""

import signal
import sys
import time
from pathlib import Path

import pytest
from tests.acceptance.faults import little_memory, resident_bytes
from tests.acceptance.programs import run, sessions_of
from tests.acceptance.test_verdicts import popen, shown, wait_for, wait_until_nobody_watches, watchdogs


@pytest.fixture
def watched(service, journals, monkeypatch):
    """Everything that is started from here has a watchdog."""
    monkeypatch.setenv("DATACAT_URL", service.url)
    monkeypatch.setenv("DATACAT_WATCHDOG", "1")
    return service


def test_of_forked_workers_the_one_that_died_is_told_from_the_others_and_from_their_parent(watched):
    code = """
import datacat, os, signal, time
session = datacat.create_session(product="family")
children = []
for n in range(3):
    if not (pid := os.fork()):
        session.log_event("worker", {"n": n})
        session._watchdog.wait(30)
        if n == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        session.end()
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
session.end()
"""
    done = run(code, watched.url)
    assert done.returncode == 0, done.stderr
    wait_until_nobody_watches()
    found = sessions_of(watched.url, "family")
    (parent,) = (each for each in found if each["parent_session_id"] is None)
    workers = {each["events"][0]["data"]["n"]: each for each in found if each is not parent}
    assert (parent["status"], parent["cause"]) == ("ended", "clean")
    assert {n: (each["status"], each["cause"]) for n, each in workers.items()} == {
        0: ("ended", "clean"),
        1: ("crashed", "signal"),
        2: ("ended", "clean"),
    }
    assert {each["parent_session_id"] for each in workers.values()} == {parent["id"]}


def test_a_program_that_closes_all_its_files_goes_on(watched):
    code = """
import datacat, os, sys, time
session = datacat.create_session(product="daemon")
session._watchdog.wait(30)
os.closerange(3, 256)
time.sleep(0.6)
session.log_event("still there")
sys.exit(3)
"""
    run(code, watched.url)
    wait_until_nobody_watches()
    (session,) = sessions_of(watched.url, "daemon")
    assert (session["status"], session["cause"]) == ("crashed", "exit_code")


def test_a_program_that_becomes_another_has_ended_and_the_other_is_a_session_of_its_own(watched):
    code = """
import datacat, os, sys
session = datacat.create_session(product=sys.argv[1])
session.log_event("working")
session._watchdog.wait(30)
if sys.argv[1] == "first":
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[2], "second", ""])
"""
    popen([sys.executable, "-c", code, "first", code]).wait(60)
    wait_until_nobody_watches()
    (first,), (second,) = sessions_of(watched.url, "first"), sessions_of(watched.url, "second")
    assert (first["status"], first["cause"]) == ("ended", "replaced")
    assert (second["status"], second["cause"]) == ("ended", "clean")
    assert first["pid"] == second["pid"]


def test_a_program_that_becomes_another_before_its_watchdog_looks_has_ended(watched):
    code = """
import datacat, os, threading
from datacat.client import children, watchdog_launch
watchdog_launch._BOOT = "import time; time.sleep(0.5)" + watchdog_launch._BOOT
start, started = children.start, threading.Event()
def starting(*arguments, **options):
    child = start(*arguments, **options)
    started.set()
    return child
children.start = starting
session = datacat.create_session(product="first")
session.log_event("working")
assert started.wait(30)
os.execvp("sleep", ["sleep", "2"])
"""
    popen([sys.executable, "-c", code]).wait(60)
    wait_until_nobody_watches()
    (first,) = sessions_of(watched.url, "first")
    assert (first["status"], first["cause"]) == ("ended", "replaced")


def test_a_program_that_daemonises_has_ended_and_its_daemon_goes_on(watched):
    code = """
import datacat, os, sys, time
session = datacat.create_session(product="daemon")
session._watchdog.wait(30)
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
session.log_event("working")
session._watchdog.wait(30)
time.sleep(0.5)
"""
    popen([sys.executable, "-c", code]).wait(60)
    wait_until_nobody_watches()
    starter, daemon = sorted(sessions_of(watched.url, "daemon"), key=lambda each: each["created_at"])
    assert (starter["status"], starter["cause"]) == ("ended", "clean"), shown(starter)
    assert (daemon["status"], daemon["cause"]) == ("ended", "clean"), shown(daemon)
    assert [event["name"] for event in daemon["events"]] == ["working"]


# As on a loaded machine: the processor is the program's as soon as it is told that it is watched.
LATE = """
from datacat.client import watchdog_launch
late = "import os, time; fork = os.fork; os.fork = lambda: fork() or time.sleep(0.5) or 0"
watchdog_launch._BOOT = late + watchdog_launch._BOOT
"""


@pytest.mark.parametrize("late", ["", LATE], ids=["", "late"])
def test_a_program_killed_for_want_of_memory_is_told_from_one_that_was_killed(watched, late):
    code = f"""{late}
import datacat, os
session = datacat.create_session(product="hungry")
session._watchdog.wait(30)
session.log_event("last words")
hoard = []
while True:
    hoard.append(bytearray(os.urandom(1024) * 1024))
"""
    with little_memory(96) as prefix:
        assert popen([*prefix, sys.executable, "-c", code]).wait(60) == -signal.SIGKILL
        wait_until_nobody_watches()
    (session,) = sessions_of(watched.url, "hungry")
    assert (session["status"], session["cause"]) == ("crashed", "oom")
    assert [event["name"] for event in session["events"]] == ["last words"]


def test_the_watchdog_is_no_child_of_the_program_has_none_of_its_files_and_is_small(watched):
    code = """
import datacat, os, time
session = datacat.create_session(product="files")
kept = open("/dev/zero")
session._watchdog.wait(30)
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    session.log_event("no child")
time.sleep(60)
"""
    program = popen([sys.executable, "-c", code])
    wait_for(watched.url, "files", 1, lambda session: session["events"])
    (watchdog,) = watchdogs()
    process = Path("/proc", watchdog)
    files = [str(file.readlink()) for file in (process / "fd").iterdir()]
    resident = resident_bytes(int(watchdog))
    program.kill()
    program.wait()
    ours = ("/dev/null", "pipe:", "anon_inode:", "/memfd:datacat", "pidfd:")
    assert all(file.startswith(ours) for file in files), files
    assert resident <= 20_000_000


def test_a_watchdog_says_what_the_process_uses_when_it_is_asked_to(watched):
    code = """
import datacat, time
session = datacat.create_session(product="measured", process_metrics=0.2)
session._watchdog.wait(30)
while time.process_time() < 3:
    pass
"""
    run(code, watched.url)
    wait_until_nobody_watches()
    (session,) = sessions_of(watched.url, "measured")
    names = {metric["name"] for metric in session["metrics"]}
    assert {
        "process.cpu.time",
        "process.cpu.utilization",
        "process.memory.usage",
        "process.thread.count",
    } <= names
    user = [m["value"] for m in session["metrics"] if m["tags"] == ["cpu.mode:user"]]
    assert 0.3 < sum(user) < 4
    assert all(m["unit"] == "By" for m in session["metrics"] if m["name"].startswith("process.memory."))


def test_when_the_server_is_down_the_verdict_waits_for_whoever_comes_next(watched):
    code = "import datacat, os\ns = datacat.create_session(product='offline')\ns._watchdog.wait(30)\nos.kill(os.getpid(), 9)"
    watched.kill()
    run(code, watched.url)
    deadline = time.monotonic() + 60
    while watchdogs():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    watched.start()
    assert popen([sys.executable, "-m", "datacat", "flush"]).wait(60) == 0
    (session,) = sessions_of(watched.url, "offline")
    assert (session["status"], session["cause"]) == ("crashed", "signal")
