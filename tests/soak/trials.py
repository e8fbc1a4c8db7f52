"""What ``make soak`` tries: the faults of ``tests/faults``, more often and for longer."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import urllib3
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from msgspec import Struct
from tests.acceptance.faults import open_files, resident_bytes
from tests.faults.audit import audit
from tests.faults.fuzz import by_the_document, raw_bytes
from tests.faults.quick import QuickService
from tests.faults.test_kills import kill_again_and_again
from tests.faults.test_many_sessions import crowd_alive_and_lost
from tests.faults.writers import Writers
from tests.property.test_store_machine import StoreMachine

MEBIBYTE = 1024 * 1024
MOST_GROWTH = 24
"""Mebibytes by which a service may be larger at the end than when it was warm: its caches still fill a little."""

READS = (
    "/api/sessions?limit=100",
    "/api/products",
    "/api/problems",
    "/api/reliability",
    "/api/grafana/flat/metrics?name=m",
    "/api/grafana/flat/summary",
    "/metrics",
)


class Options(Struct, frozen=True):
    """How much is tried."""

    minutes: float
    kills: int
    sessions: int
    seed: int


class Done(Struct):
    """How much was tried, and what was seen."""

    count: str
    seen: str


def kills(folder: Path, options: Options) -> Done:
    """``kill -9`` while clients write."""
    answered = kill_again_and_again(folder / "datacat.db", options.seed, options.kills)
    return Done(f"{options.kills} kills", f"{answered:,} requests answered, none lost, none twice")


def sequences(_: Path, options: Options) -> Done:
    """Random sequences of commits, every question asked of SQLite and of the model."""
    examples = max(40, int(options.minutes * 20))
    run_state_machine_as_test(
        StoreMachine, settings=settings(max_examples=examples, stateful_step_count=15, deadline=None)
    )
    return Done(f"{examples} sequences", "both stores say the same")


def document(folder: Path, options: Options) -> Done:
    """Requests made from the OpenAPI document, to every operation."""
    service = QuickService(folder / "datacat.db", durability="normal")
    by_the_document(service.url, 3)
    before = resident_bytes(service.pid)
    statuses = by_the_document(service.url, max(20, int(options.minutes * 10)))
    return _fuzzed(service, statuses.total(), before)


def damaged(folder: Path, options: Options) -> Done:
    """Valid requests damaged at random, in random pieces."""
    service = QuickService(folder / "datacat.db", durability="normal")
    raw_bytes(service.port, options.seed + 1, 500)
    before = resident_bytes(service.pid)
    statuses = raw_bytes(service.port, options.seed, max(1000, int(options.minutes * 1000)))
    return _fuzzed(service, statuses.total(), before)


def crowd(folder: Path, options: Options) -> Done:
    """Many sessions alive at once, then all silent."""
    service = QuickService(folder / "datacat.db", durability="normal")
    served, seconds = crowd_alive_and_lost(
        service, options.sessions, interval=15.0, seconds=30.0, contact_timeout=60.0
    )
    waits = ", ".join(f"{served.wait_at(part) * 1000:,.0f}" for part in (0.5, 0.99, 1))
    seen = f"{len(served.waits):,} beats answered within {waits} ms (half, 99 %, all); all lost after {seconds:.0f} s"
    memory = resident_bytes(service.pid) / MEBIBYTE
    service.stop()
    return Done(f"{options.sessions:,} sessions", f"{seen}; {memory:.0f} MiB")


def load(folder: Path, options: Options) -> Done:
    """Writers and a reader, as fast as they are answered, and the service's memory over time."""
    service = QuickService(folder / "datacat.db")
    writers = Writers(service.port, options.seed)
    stop = threading.Event()
    reads: list[int] = []
    reading = threading.Thread(target=_read, args=(service.url, stop, reads))
    samples: list[tuple[float, int, int]] = []
    with writers.writing():
        reading.start()
        began = time.monotonic()
        while (passed := time.monotonic() - began) < options.minutes * 60:
            samples.append((passed, resident_bytes(service.pid), open_files(service.pid)))
            time.sleep(min(1.0, options.minutes))
        stop.set()
        reading.join()
    for passed, memory, files in samples[:: max(1, len(samples) // 20)]:
        print(f"    after {passed / 60:5.1f} min: {memory / MEBIBYTE:6.1f} MiB, {files} open files")
    # Half of the time to warm up: until the caches of sessions, names and pages are full.
    warm, end = (max(memory for _, memory, _ in part) for part in _halves(samples))
    writers.check(service.url)
    assert service.stop() in (0, -15)
    audit(folder / "datacat.db")
    assert end - warm < MOST_GROWTH * MEBIBYTE, (
        f"it grew from {warm / MEBIBYTE:.0f} to {end / MEBIBYTE:.0f} MiB"
    )
    assert set(reads) == {200}
    return Done(
        f"{options.minutes:g} minutes",
        f"{writers.answered:,} writes, {len(reads):,} reads; {warm / MEBIBYTE:.0f} MiB at most in the first half, "
        f"{end / MEBIBYTE:.0f} MiB in the second; nothing lost, sums agree",
    )


TRIALS: dict[str, Callable[[Path, Options], Done]] = {
    each.__name__: each for each in (kills, sequences, document, damaged, crowd, load)
}


def _fuzzed(service: QuickService, count: int, before: int) -> Done:
    after = resident_bytes(service.pid)
    assert after - before < MOST_GROWTH * MEBIBYTE, (
        f"it grew from {before / MEBIBYTE:.0f} to {after / MEBIBYTE:.0f} MiB"
    )
    assert "ERROR datacat" not in service.log_file.read_text(), "a mistake of ours is in the log"
    assert service.stop() in (0, -15)
    return Done(
        f"{count:,} answers",
        f"none a failure of the server; {before / MEBIBYTE:.0f} MiB before, {after / MEBIBYTE:.0f} MiB after",
    )


def _read(url: str, stop: threading.Event, statuses: list[int]) -> None:
    pool = urllib3.PoolManager(retries=False, timeout=60)
    chance = random.Random(0)
    while not stop.is_set():
        statuses.append(pool.request("GET", url + chance.choice(READS)).status)


def _halves(samples: list[tuple[float, int, int]]) -> tuple[list[tuple[float, int, int]], ...]:
    middle = len(samples) // 2
    return samples[: middle + 1], samples[middle:]
