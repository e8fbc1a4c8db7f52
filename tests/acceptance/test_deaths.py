"""However a program dies: every record whose call had returned arrives, once, in order."""

import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.acceptance.faults import little_memory
from tests.acceptance.programs import NOBODY, sessions_of
from tests.forks import run_datacat

# Each thread says in a shared file how many of its calls have returned.
PROGRAM = """
import ctypes, mmap, os, resource, signal, sys, threading, time
import datacat
how, counters, product = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
with open(counters, "r+b") as file:
    returned = memoryview(mmap.mmap(file.fileno(), 64)).cast("Q")  # one store, never half done
session = datacat.create_session(product=product)

def log(thread):
    n = 0
    while True:
        session.log_event("e", {"thread": thread, "n": n})
        n += 1
        returned[thread] = n
        if n % 20 == 0:
            time.sleep(0.001)

for thread in range(4):
    threading.Thread(target=log, args=(thread,), daemon=True).start()
time.sleep(0.05)
if how == "segv":
    ctypes.string_at(0)
if how == "exit":
    os._exit(3)
if how == "abort":
    os.abort()
if how == "memory":
    hoard = []
    while True:
        hoard.append(bytearray(os.urandom(1024) * 1024))
time.sleep(60)
"""


class Victim:
    """One run of the program above."""

    def __init__(
        self, how: str, url: str, folder: Path, product: str, *, prefix: list[str] | None = None
    ) -> None:
        self.counters = folder / f"{product}.counters"
        self.counters.write_bytes(bytes(64))
        with self.counters.open("r+b") as file:
            self.returned = mmap.mmap(file.fileno(), 64)
        command = [*(prefix or []), sys.executable, "-c", PROGRAM, how, str(self.counters), product]
        self.process = subprocess.Popen(
            command, env={**os.environ, "DATACAT_URL": url}, stderr=subprocess.DEVNULL
        )

    def kill(self, after: float) -> None:
        deadline = time.monotonic() + 30
        while not all(self.counts()):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(after)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def counts(self) -> tuple[int, ...]:
        return struct.unpack_from("<4Q", self.returned, 0)


def flush(url: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "datacat", "flush", "--url", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def check(service_url: str, product: str, counts: tuple[int, ...]) -> None:
    (session,) = sessions_of(service_url, product)
    assert session["lost"] == 0
    for thread in range(4):
        numbers = [event["data"]["n"] for event in session["events"] if event["data"]["thread"] == thread]
        assert numbers == list(range(len(numbers))), "once, in order, without a gap"
        # The one call that was under way may have arrived as well.
        assert counts[thread] <= len(numbers) <= counts[thread] + 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("server", ["down", "up"])
@pytest.mark.parametrize("part", range(4))
def test_a_program_killed_at_a_random_moment_loses_nothing(service, journals, tmp_path, server, part):
    chance = random.Random(part)
    seen: dict[str, tuple[int, ...]] = {}
    for n in range(25):
        product = f"victim-{n}"
        victim = Victim("sleep", service.url if server == "up" else NOBODY, tmp_path, product)
        victim.kill(chance.random() * 0.06)
        seen[product] = victim.counts()
    done = flush(service.url)
    assert done.returncode == 0, done.stdout + done.stderr
    for product, counts in seen.items():
        check(service.url, product, counts)
    assert list(journals.iterdir()) == []


@pytest.mark.parametrize(
    ("how", "code"), [("segv", -signal.SIGSEGV), ("exit", 3), ("abort", -signal.SIGABRT)]
)
def test_a_program_that_crashes_loses_nothing(service, journals, tmp_path, how, code):
    for n in range(5):
        victim = Victim(how, service.url if n % 2 else NOBODY, tmp_path, f"{how}-{n}")
        assert victim.process.wait(30) == code
        assert flush(service.url).returncode == 0
        check(service.url, f"{how}-{n}", victim.counts())


def test_a_program_killed_for_want_of_memory_loses_nothing(service, journals, tmp_path):
    with little_memory(64) as prefix:
        victim = Victim("memory", NOBODY, tmp_path, "hungry", prefix=prefix)
        assert victim.process.wait(60) == -signal.SIGKILL
    assert flush(service.url).returncode == 0
    check(service.url, "hungry", victim.counts())


def test_the_next_start_delivers_what_the_last_one_left(service, journals, tmp_path):
    victim = Victim("sleep", service.url, tmp_path, "first")
    victim.kill(0.05)
    (left,) = journals.iterdir()
    second = Victim("sleep", service.url, tmp_path, "second")
    deadline = time.monotonic() + 30
    while left.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    second.kill(0)
    check(service.url, "first", victim.counts())


def test_a_place_of_journals_that_is_not_there_is_no_place_where_nothing_waits(tmp_path):
    done = run_datacat("flush", "--journal-dir", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "is no directory" in " ".join(done.stderr.replace("│", " ").split())
