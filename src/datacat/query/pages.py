"""One session's events and metrics, a page at a time, in both directions.

Rows are numbered from 1 in the order in which they came, and numbers never change. A page looks at a
bounded number of rows, however few of them are wanted: so it may be short, or empty, and still have
a next.
"""

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from msgspec import Raw, Struct

from datacat.model.session import Session
from datacat.store.asked import Wanted, Window
from datacat.store.found import PAGE_BYTES, EventRow
from datacat.store.port import Reader
from datacat.wire.timestamps import rfc3339

LOOKED_AT: Final = 100_000
"""Rows that one page looks at, at most."""

Row = TypeVar("Row")


class NumberedEvent(Struct, gc=False):
    """An event as it is answered, with its number."""

    number: int
    timestamp: str
    name: str
    level: str
    message: str | None
    data: Raw


class NumberedMetric(Struct, gc=False):
    """A metric as it is answered, with its number."""

    number: int
    timestamp: str
    name: str
    kind: str
    value: float
    unit: str | None
    tags: Raw


class Asked(Struct, frozen=True):
    """Where a page lies: behind the row numbered ``after``, or before that of ``before``; the newest without either."""

    after: int | None
    before: int | None
    limit: int


class Found(Struct, Generic[Row]):
    """Rows, oldest first; ``previous`` is the ``before`` of the page before, ``next`` the ``after`` of the next."""

    rows: list[Row]
    previous: int | None
    next: int | None


def events(reader: Reader, session: Session, asked: Asked, wanted: Wanted) -> dict[str, Any]:
    """A page of events."""
    found = page(reader.event_window, session.id, session.events, asked, wanted)
    views = [
        NumberedEvent(n + 1, rfc3339(row.time), row.name, row.level, row.message, row.data)
        for n, row in found.rows
    ]
    return {"events": views, "previous": found.previous, "next": found.next}


def metrics(reader: Reader, session: Session, asked: Asked, wanted: Wanted) -> dict[str, Any]:
    """A page of metrics."""
    found = page(reader.metric_window, session.id, session.metrics, asked, wanted)
    views = [
        NumberedMetric(n + 1, rfc3339(row.time), row.name, row.kind, row.value, row.unit, row.tags)
        for n, row in found.rows
    ]
    return {"metrics": views, "previous": found.previous, "next": found.next}


def page(
    read: Callable[[str, Window, Wanted, int], list[tuple[int, Row]]],
    session_id: str,
    count: int,
    asked: Asked,
    wanted: Wanted,
) -> Found[tuple[int, Row]]:
    """A page of what ``read`` reads, of a session that has ``count`` of it; rows come with their numbers, from 0."""
    window = window_of(asked, count)
    rows = read(session_id, window, wanted, asked.limit)
    full = len(rows) == asked.limit or _is_heavy(rows)
    first, until = window.first, window.until
    if window.newest_first:
        rows.reverse()
        first = rows[0][0] if full else first
    elif full:
        until = rows[-1][0] + 1
    # Numbers count from 1: the row before ``first`` has the number ``first``, that at ``until`` is behind it.
    return Found(rows, first + 1 if first > 0 else None, until if until < count else None)


def _is_heavy(rows: list[tuple[int, Row]]) -> bool:
    """Whether there may be more that was left out for its weight."""
    return sum(row.weight for _, row in rows if isinstance(row, EventRow)) >= PAGE_BYTES


def window_of(asked: Asked, count: int) -> Window:
    """Which of ``count`` rows are looked at.

    >>> window_of(Asked(None, None, 10), 250_000)
    Window(first=150000, until=250000, newest_first=True)
    >>> window_of(Asked(7, None, 10), 9)
    Window(first=7, until=9, newest_first=False)
    >>> window_of(Asked(None, 3, 10), 9)
    Window(first=0, until=2, newest_first=True)
    """
    if asked.after is not None:
        first = min(asked.after, count)
        end = count if asked.before is None else min(count, max(first, asked.before - 1))
        return Window(first, min(first + LOOKED_AT, end))
    until = count if asked.before is None else max(0, min(count, asked.before - 1))
    return Window(max(0, until - LOOKED_AT), until, newest_first=True)
