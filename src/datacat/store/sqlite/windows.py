"""A range of one session's rows, as far as they are wanted: no row outside the range is read."""

from collections.abc import Iterable
from typing import Final

import apsw
from msgspec import Raw

from datacat.model.limits import MAX_TIME
from datacat.store.asked import Wanted, Window
from datacat.store.found import PAGE_BYTES, EventRow, MetricRow
from datacat.store.sqlite.rows import LEVELS, Row, json_text

EVENT: Final = (
    "e.n, e.time, name.name, e.level, e.message, e.data FROM event AS e CROSS JOIN name ON name.key = e.name"
)
_METRIC: Final = "e.n, e.time, s.name, s.kind, e.value, s.unit, s.tags FROM metric AS e CROSS JOIN series AS s ON s.key = e.series"


def events(
    database: apsw.Connection, session: int, window: Window, wanted: Wanted, limit: int
) -> list[tuple[int, EventRow]]:
    """See :meth:`datacat.store.port.Reader.event_window`."""
    conditions: list[str] = []
    values: list[str | int] = []
    if wanted.names:
        conditions.append("e.name IN (SELECT key FROM name WHERE name IN (SELECT value FROM json_each(?)))")
        values.append(json_text(sorted(wanted.names)))
    if level := LEVELS.index(wanted.least_level):
        conditions.append("e.level >= ?")
        values.append(level)
    sql, asked = window_sql(EVENT, session, window, wanted, conditions, values, limit)
    return event_rows(database.execute(sql, asked))


def event_rows(rows: Iterable[Row]) -> list[tuple[int, EventRow]]:
    """Rows of :data:`EVENT`, as long as they do not weigh too much."""
    found: list[tuple[int, EventRow]] = []
    room = PAGE_BYTES
    for n, time, name, level, message, data in rows:
        row = EventRow(time, name, LEVELS[level], message, Raw(data or "{}"))
        found.append((n, row))
        room -= row.weight
        if room <= 0:
            break
    return found


def metrics(
    database: apsw.Connection, session: int, window: Window, wanted: Wanted, limit: int
) -> list[tuple[int, MetricRow]]:
    """See :meth:`datacat.store.port.Reader.metric_window`."""
    conditions: list[str] = []
    values: list[str | int] = []
    if wanted.names:
        conditions.append("s.name IN (SELECT value FROM json_each(?))")
        values.append(json_text(sorted(wanted.names)))
    for tag in sorted(wanted.tags):
        conditions.append("EXISTS (SELECT 1 FROM json_each(s.tags) WHERE value = ?)")
        values.append(tag)
    sql, asked = window_sql(_METRIC, session, window, wanted, conditions, values, limit)
    return [
        (n, MetricRow(time, name, kind, value, unit or None, Raw(tags)))
        for n, time, name, kind, value, unit, tags in database.execute(sql, asked)
    ]


def window_sql(
    what: str,
    session: int,
    window: Window,
    wanted: Wanted,
    conditions: list[str],
    values: list[str | int],
    limit: int,
) -> tuple[str, Row]:
    """The question and its values; the rows are called ``e``."""
    time: list[int] = []
    if wanted.since is not None or wanted.until is not None:
        conditions = ["e.time >= ?", "e.time < ?", *conditions]
        time = [wanted.since or 0, MAX_TIME + 1 if wanted.until is None else wanted.until]
    also = "".join(f" AND {condition}" for condition in conditions)
    order = "DESC" if window.newest_first else "ASC"
    # The cross joins above keep the rows in their order: otherwise rare names might go first, and all be sorted.
    return (
        (
            f"SELECT {what} "  # ours
            f"WHERE e.session = ? AND e.n >= ? AND e.n < ?{also} ORDER BY e.n {order} LIMIT ?"
        ),
        (session, window.first, window.until, *time, *values, limit),
    )
