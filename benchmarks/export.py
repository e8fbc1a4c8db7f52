"""A raw export of many sessions: how fast it flows, and what it does to memory."""

import http.client
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Raw

from benchmarks.service import resident_mib, service
from datacat.ingest.committer import commit
from datacat.model.records import Batch, End, Event, Metric, Origin, Record, Rejected, Start
from datacat.store.sqlite.writer import SqliteWriter

SESSIONS = (10_000, 100_000)
PIECE = 1_000_000


def measure(row: Callable[[str, str, str], None]) -> None:
    """The table's rows; each session has an event and a metric."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.db"
        filled = 0
        for sessions in SESSIONS:
            fill(path, filled, sessions)
            filled = sessions
            with service(path, "normal") as (url, process):
                before = most = resident_mib(process)
                began = time.perf_counter()
                size = 0
                connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
                connection.request("GET", "/api/grafana/sessions")
                with connection.getresponse() as answer:
                    while piece := answer.read(PIECE):
                        size += len(piece)
                        most = max(most, resident_mib(process))
                seconds = time.perf_counter() - began
                connection.close()
            row(
                f"export of {sessions:,} sessions: a second; resident memory before, at most",
                f"{sessions / seconds:,.0f} sessions, {size / seconds / 1e6:.0f} MB; {before} MiB, {most} MiB",
                "flat, ≤ 150 MiB",
            )


def fill(path: Path, first: int, until: int) -> None:
    """Record the sessions of these numbers."""
    writer = SqliteWriter(path, durability="normal")
    for begin in range(first, until, 2_000):
        commit(writer, [_session(number) for number in range(begin, begin + 2_000)], begin)
    writer.close()


def _session(number: int) -> Batch:
    records: list[Record | Rejected] = [
        Start(seq=1, time=number, product=f"p{number % 3}", version="1"),
        Event(seq=2, time=number, name="saved", data=Raw(b'{"path":"a.txt"}')),
        Metric(seq=3, time=number, name="fps", value=60.0),
        End(seq=4, time=number + 1_000_000),
    ]
    return Batch(str(uuid.UUID(int=number + 1)), Origin.APP, records)


if __name__ == "__main__":
    measure(lambda what, figure, target: print(f"| {what} | {figure} | {target} |", flush=True))
