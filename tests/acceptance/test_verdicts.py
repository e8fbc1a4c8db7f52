"""Every row of the matrix, with real processes, twenty times in a row."""

import contextlib
import ctypes
import os
import signal
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.programs import sessions_of
from tests.acceptance.test_deaths import flush
from tests.acceptance.verdicts import PAGE, ROWS, Expected, Row, Watcher, page

TIMES = 20
AT_ONCE = {True: 4, False: 10}
"""How many run side by side: those that want a processor for themselves, and those that do not."""

PROGRAM = """
import asyncio, ctypes, os, re, resource, signal, sys, threading, time
import datacat
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
times, product, code = int(sys.argv[1]), sys.argv[2], sys.argv[3]
for _ in range(times):  # each is a process of its own; only what is imported is shared
    if os.fork() == 0:
        break
else:
    for _ in range(times):
        os.wait()
    if times:
        os._exit(0)
def kill(number):
    os.kill(os.getpid(), number)
    time.sleep(60)
session = datacat.create_session(product=product)
if session._watchdog is not None:
    session._watchdog.wait(60)
session.log_event("last words")
exec(compile(code, "program.py", "exec"))
"""

PAIRS = [(row, watcher) for row in ROWS for watcher in row.expected]


def name_of(value: Any) -> str | None:
    return value.program.replace("`", "") if isinstance(value, Row) else None


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("row", "watcher"), PAIRS, ids=name_of)
def test_the_verdict_on_a_program_is_the_one_in_the_matrix_twenty_times_in_a_row(
    service, journals, monkeypatch, row, watcher
):
    monkeypatch.setenv("DATACAT_URL", service.url)
    if watcher == "watchdog":
        monkeypatch.setenv("DATACAT_WATCHDOG", "1")
    delays: list[float] = []
    done = 0
    while done < TIMES:
        times = min(AT_ONCE[row.busy], TIMES - done)
        product = f"program {done}"
        started = start(row, watcher, product, times, fresh=done == 0)
        act(row, service.url, product, times)
        for process in started:
            process.wait(60)
        for session in settled(service.url, product, times, watcher):
            problem = differs(session, row.expected[watcher])
            assert not problem, f"{problem}: {shown(session)}"
            delays.append(delay(session))
        done += times
    if watcher == "watchdog" and row.expected[watcher].status == "crashed" and not row.then:
        assert statistics.median(delays) <= 2


def test_the_page_is_what_the_matrix_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.acceptance.verdicts"


def start(
    row: Row, watcher: Watcher, product: str, times: int, *, fresh: bool
) -> "list[subprocess.Popen[bytes]]":
    """So many programs; the first ones are interpreters of their own, started as a user does."""
    if watcher == "run":
        command = [sys.executable, "-m", "datacat", "run", "--product", product, "--", sys.executable]
        return [popen([*command, "-c", PROGRAM, "0", product, row.code]) for _ in range(times)]
    if fresh:
        return [popen([sys.executable, "-c", PROGRAM, "0", product, row.code]) for _ in range(times)]
    return [popen([sys.executable, "-c", PROGRAM, str(times), product, row.code])]


def popen(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def act(row: Row, url: str, product: str, times: int) -> None:
    """What is done to the programs from outside."""
    if row.then == "kill when hung":
        for session in wait_for(url, product, times, lambda session: session["status"] == "hung"):
            os.kill(session["pid"], signal.SIGKILL)
    elif row.then:
        found = wait_for(url, product, times, lambda session: session["last_heartbeat_at"])
        hold, let_go = HOLDS[row.then]
        for session in found:
            hold(session["pid"])
        time.sleep(1.2)
        for session in found:
            let_go(session["pid"])


def attach(pid: int) -> None:
    assert LIBC.ptrace(16, pid, None, None) == 0
    os.waitpid(pid, 0x40000000)  # __WALL: it is no child of ours


def detach(pid: int) -> None:
    assert LIBC.ptrace(17, pid, None, None) == 0


LIBC = ctypes.CDLL(None)
HOLDS = {
    "stop for a while": (
        lambda pid: os.kill(pid, signal.SIGSTOP),
        lambda pid: os.kill(pid, signal.SIGCONT),
    ),
    "debug for a while": (attach, detach),
}


def wait_for(url: str, product: str, times: int, reached: Any) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while True:
        found = sessions_of(url, product)
        if len(found) == times and all(map(reached, found)):
            return found
        assert time.monotonic() < deadline, [shown(session) for session in found]
        time.sleep(0.1)


def settled(url: str, product: str, times: int, watcher: Watcher) -> list[dict[str, Any]]:
    """The sessions once nobody has anything to add: no journal is left, and no watchdog."""
    if watcher == "alone":
        flush(url)
        return wait_for(url, product, times, lambda session: session["ended_at"])
    root = os.environ["DATACAT_JOURNAL_DIR"]
    deadline = time.monotonic() + 60
    while (left := list(Path(root).iterdir())) or watchdogs():
        assert time.monotonic() < deadline, (left, watchdogs())
        time.sleep(0.05)
    return wait_for(url, product, times, lambda session: session["ended_at"])


def watchdogs() -> list[str]:
    """The processes that watch for this test: their journals are where ours are."""
    mine = f"DATACAT_JOURNAL_DIR={os.environ['DATACAT_JOURNAL_DIR']}\0".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (process / "comm").read_text()
            if name == "datacat-watch\n" and mine in (process / "environ").read_bytes():
                found.append(process.name)
    return found


def differs(session: dict[str, Any], expected: Expected) -> str:
    """In what the session is not as expected."""
    names = [event["name"] for event in session["events"]]
    for what, found, wanted in (
        ("status", session["status"], expected.status),
        ("cause", session["cause"], expected.cause),
        ("hung at its end", session["hung_at_end"], expected.hung_at_end),
        ("hangs", [hang["kind"] for hang in session["hangs"]], [expected.hung] if expected.hung else []),
        ("lost", session["lost"], 0),
        ("last words", names.count("last words"), 1),
    ):
        if found != wanted:
            return f"{what}: {found!r}, not {wanted!r}"
    if missing := set(expected.events) - set(names):
        return f"no {missing}"
    if expected.says not in str(session["exit"]):
        return f"its exit does not say {expected.says!r}"
    for hang in session["hangs"]:
        silent = next(e for e in session["events"] if e["name"] == "application_appears_hung")["data"]
        if expected.where not in str(silent["stacks"][0]["frames"]):
            return f"the first stack is not in {expected.where}"
        if silent["seconds_since_heartbeat"] > silent["timeout"] + 1.5:
            return f"the hang was told after {silent['seconds_since_heartbeat']} s"
        if hang["seconds"] is None or hang["end"] is None:
            return "the hang has no end"
    return ""


def delay(session: dict[str, Any]) -> float:
    """Seconds from the program's last words to the server's last word."""
    last = max(event["timestamp"] for event in session["events"] if event["name"] == "last words")
    return (datetime.fromisoformat(session["updated_at"]) - datetime.fromisoformat(last)).total_seconds()


def shown(session: dict[str, Any]) -> dict[str, Any]:
    brief = {key: session[key] for key in ("status", "cause", "hung_at_end", "exit", "lost")}
    events = [(event["timestamp"], event["name"], str(event["data"])[:600]) for event in session["events"]]
    return {**brief, "hangs": [{**hang, "stacks": "…"} for hang in session["hangs"]], "events": events}
