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
from tests.acceptance.verdicts import CHECK_INTERVAL, PAGE, ROWS, TIMEOUT, Expected, Row, Watcher, page

WAVES = {"works": (2, 4, 4, 4, 3, 3), "ends": (2, 9, 9), "waits": (2, 9, 9)}
"""How many run side by side, twenty in all, by how much of a processor they want.

The first ones are interpreters of their own, started as a user does; the others share what they import.
"""

FORK = """
import os
for _ in range(times):
    if os.fork() == 0:
        break
else:
    for _ in range(times):
        os.wait()
    if times:
        os._exit(0)
"""

PROGRAM = f"""
import asyncio, ctypes, os, re, resource, signal, sys, threading, time
import datacat
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
times, product, code = int(sys.argv[1]), sys.argv[2], sys.argv[3]
{FORK}
def kill(number):
    os.kill(os.getpid(), number)
    time.sleep(60)
session = datacat.create_session(product=product)
if session._watchdog is not None:
    session._watchdog.wait(60)
if sys.version_info >= (3, 14):
    session.flush(60)  # what the interpreter says at its fall breaks off at a thread that is just being started
session.log_event("last words")
exec(compile(code, "program.py", "exec"))
"""

PARENT = f"""
import sys
from datacat.cli.app import app
times = int(sys.argv.pop(1))
{FORK}
app()
"""

HUNG = "application_appears_hung"

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
    told: list[float] = []
    for wave, times in enumerate(WAVES[row.load]):
        product = f"program {wave}"
        started = start(row, watcher, product, times, fresh=wave == 0)
        act(row, service.url, product, times)
        for process in started:
            process.wait(60)
        if watcher != "alone":
            wait_until_nobody_watches()
    if watcher == "alone":
        assert flush(service.url).returncode == 0
    for wave, times in enumerate(WAVES[row.load]):
        for session in wait_for(service.url, f"program {wave}", times, lambda session: session["ended_at"]):
            problem = differs(session, row.expected[watcher])
            assert not problem, f"{problem}: {shown(session)}"
            delays.append(delay(session))
            told += [
                event["data"]["seconds_since_heartbeat"]
                for event in session["events"]
                if event["name"] == HUNG
            ]
    if watcher == "watchdog" and row.expected[watcher].status == "crashed" and not row.then:
        assert statistics.median(delays) <= 2
    if told:
        # Where all want a processor, those in time are those that got one.
        quick = sorted(told)[len(told) // (10 if row.load == "works" else 2)]
        assert quick <= TIMEOUT + CHECK_INTERVAL + 0.5, sorted(told)


def test_the_page_is_what_the_matrix_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: python -m tests.acceptance.verdicts"


def start(
    row: Row, watcher: Watcher, product: str, times: int, *, fresh: bool
) -> "list[subprocess.Popen[bytes]]":
    """So many programs."""
    program = [sys.executable, "-c", PROGRAM, "0", product, row.code]
    if watcher == "run":
        command = ["run", "--product", product, "--", *program]
        if fresh:
            return [popen([sys.executable, "-m", "datacat", *command]) for _ in range(times)]
        return [popen([sys.executable, "-c", PARENT, str(times), *command])]
    if fresh:
        return [popen(program) for _ in range(times)]
    program[3] = str(times)
    return [popen(program)]


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


def wait_until_nobody_watches() -> None:
    """Nobody has anything to add: no journal is left, and no watchdog."""
    root = Path(os.environ["DATACAT_JOURNAL_DIR"])
    deadline = time.monotonic() + 60
    while list(root.iterdir()) or watchdogs():
        assert time.monotonic() < deadline, (list(os.walk(root)), watchdogs())
        time.sleep(0.05)


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
        silent = next(event for event in session["events"] if event["name"] == HUNG)["data"]
        if expected.where not in str(silent["stacks"][0]["frames"]):
            return f"the first stack is not in {expected.where}"
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
