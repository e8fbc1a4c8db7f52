"""A small database as the service makes it, for tests of looking after it."""

from pathlib import Path
from uuid import UUID

from datacat.ingest.committer import commit
from datacat.model.records import Batch, End, Event, Metric, Origin, Record, Rejected, Start, State
from datacat.store.sqlite.writer import SqliteWriter

SECOND = 1_000_000
BEGAN = 1_732_380_000 * SECOND


def nothing_told(_what: str, _done: float) -> None:
    """For who does not ask how far it is."""


def batch(number: int, events: int = 3) -> Batch:
    """A session with so many events, half as many points, a change of state, and every second time an end."""
    began = BEGAN + number * 60 * SECOND
    records: list[Record | Rejected] = [
        Start(seq=1, time=began, product=("editor", None)[number % 2], version="1")
    ]
    for n in range(events):
        records.append(Event(seq=len(records) + 1, time=began + n, name=f"e{n % 3}"))
        if n % 2:
            records.append(Metric(seq=len(records) + 1, time=began + n, name="fps", value=float(n)))
    records.append(State(seq=len(records) + 1, time=began, merge={"step": number}))
    if number % 2:
        records.append(End(seq=len(records) + 1, time=began + 9))
    return Batch(str(UUID(int=number + 1)), Origin.APP, records)


def fill(path: Path, sessions: int = 6, events: int = 3) -> Path:
    """A database with so many sessions, closed."""
    writer = SqliteWriter(path, durability="normal")
    commit(writer, [batch(number, events) for number in range(sessions)], BEGAN + 10**9)
    writer.close()
    return path
