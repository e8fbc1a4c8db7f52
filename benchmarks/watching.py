"""What it costs to be watched, and whether anybody cries wolf.

``python -m benchmarks.watching 30`` lets busy programs run on a loaded machine for so many minutes;
whatever is then said to have hung did not.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.calls import time_calls
from datacat.client.api import DatacatClient
from datacat.testing import capturing_session

AT_REST = """
import datacat, os, sys, time
began = time.perf_counter()
session = datacat.create_session(product="rest", watchdog=sys.argv[1] == "watched")
created = time.perf_counter() - began
if session._watchdog is not None:
    session._watchdog.wait(60)
watching = time.perf_counter() - began
session.start_heartbeat_monitor(60, 5)
print(created * 1000, watching * 1000, flush=True)
while True:
    session.heartbeat()
    time.sleep(1)
"""

BUSY = """
import datacat, hashlib, json, os, random, sys, threading, time
session = datacat.create_session(product="busy", watchdog=True)
session.start_heartbeat_monitor(2.0, 0.5)
chance = random.Random(os.getpid())
def work():
    data = os.urandom(chance.randrange(1, 200_000))
    for _ in range(chance.randrange(1, 20)):
        hashlib.sha256(data).digest()
        sorted(data[:20_000])
def others():
    while True:
        json.dumps(list(range(chance.randrange(50_000))))
for _ in range(3):
    threading.Thread(target=others, daemon=True).start()
while True:
    work()
    session.heartbeat()
    session.log_event("turn", {"n": 1})
    time.sleep(chance.random() * 0.05)
"""


def measure(url: str, row: Callable[[str, str, str], None]) -> None:
    """The table's rows on watching."""
    with capturing_session() as (session, _):
        session.start_heartbeat_monitor(60, 5)
        median, tail = time_calls(session.heartbeat)
        row("`heartbeat()`, median · p99", f"{median:.2f} · {tail:.2f} µs", "≤ 0.3 µs")
    created = {how: [start(url, how)[0] for _ in range(5)] for how in ("alone", "watched")}
    watching = [start(url, "watched")[1] for _ in range(5)]
    row(
        "`create_session()`, first in a program: alone · with a watchdog",
        f"{statistics.median(created['alone']):.1f} · {statistics.median(created['watched']):.1f} ms",
        "no delay",
    )
    row("until the watchdog watches", f"{statistics.median(watching):.0f} ms", "≤ 100 ms")
    share, kilobytes = at_rest(url)
    row("a program at rest with everything on, both processes", f"{share:.2f} % of a core", "≤ 1 %")
    row("the watchdog's resident memory", f"{kilobytes / 1024:.1f} MiB", "≤ 20 MB")


def start(url: str, how: str) -> tuple[float, float]:
    """Milliseconds of ``create_session`` and until it is watched."""
    with running(AT_REST, url, how) as process:
        assert process.stdout is not None
        created, watching = map(float, process.stdout.readline().split())
    return created, watching


def at_rest(url: str, seconds: float = 20) -> tuple[float, int]:
    """Per cent of a core that a program and its watchdog use when nothing happens; the watchdog's memory in KiB."""
    with running(AT_REST, url, "watched") as process:
        assert process.stdout is not None
        process.stdout.readline()
        (watchdog,) = watchdogs()
        time.sleep(3)
        before = used(process.pid) + used(watchdog)
        time.sleep(seconds)
        share = (used(process.pid) + used(watchdog) - before) / seconds * 100
        status = Path(f"/proc/{watchdog}/status").read_text()
        resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return share, int(resident.split()[1])


class running:  # noqa: N801  # a context manager is a verb
    """A program, until the block ends."""

    def __init__(self, code: str, url: str, *arguments: str) -> None:
        command = [sys.executable, "-c", code, *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, env={**os.environ, "DATACAT_URL": url}, text=True
        )

    def __enter__(self) -> "subprocess.Popen[str]":
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        while watchdogs():
            time.sleep(0.1)


def watchdogs() -> list[int]:
    """Their process numbers."""
    found = []
    for process in Path("/proc").glob("[0-9]*/comm"):
        try:
            if process.read_text() == "datacat-watch\n":
                found.append(int(process.parent.name))
        except OSError:
            continue
    return found


def used(pid: int) -> float:
    """Seconds of processor time, of all threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def false_verdicts(minutes: float) -> None:
    """Print what is said of busy programs on a machine with twice as much to do as it can."""
    from benchmarks.service import service

    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATACAT_JOURNAL_DIR"] = f"{folder}/journals"
        with service(Path(folder) / "busy.db", "normal") as (url, _):
            environ = {**os.environ, "DATACAT_URL": url}
            programs = [
                subprocess.Popen([sys.executable, "-c", BUSY], env=environ)
                for _ in range(2 * (os.cpu_count() or 1))
            ]
            time.sleep(minutes * 60)
            problems = DatacatClient(url).get_problems()
            turns = sum(program.poll() is None for program in programs)
            load = os.getloadavg()[1]
            for program in programs:
                program.kill()
                program.wait()
            print(
                f"{len(problems)} verdicts on {turns} busy programs in {minutes:g} minutes, load {load:.1f} on "
                f"{os.cpu_count()} cores, timeout 2 s: {problems}"
            )
            while watchdogs():
                time.sleep(0.1)


if __name__ == "__main__":
    false_verdicts(float(sys.argv[1]))
