"""Events of many sessions by time: each range of an index gives its newest, and those are merged."""

import heapq
from collections.abc import Iterator
from typing import Final

import apsw
from msgspec import Raw

from datacat.store.asked import Scope
from datacat.store.found import EventRow, TimedEvent
from datacat.store.sqlite.counts import scope_sql
from datacat.store.sqlite.rows import LEVELS, Row, json_text, one_integer, with_hyphens

_SEVERE: Final = LEVELS.index("warning")
"""From this level on there is an index of their own for the few that matter."""

_EVENT: Final = """
    SELECT lower(hex(s.id)), s.product, s.version, e.time, name.name, e.level, e.message, e.data
    FROM event AS e JOIN session AS s ON s.key = e.session JOIN name ON name.key = e.name
    WHERE e.session = ? AND e.n = ?
"""


def names(database: apsw.Connection, limit: int) -> list[str]:
    """The events' names, in order."""
    return [name for (name,) in database.execute("SELECT name FROM name ORDER BY name LIMIT ?", (limit,))]


def of_all(
    database: apsw.Connection, scope: Scope, names: frozenset[str], least_level: str, limit: int
) -> list[TimedEvent]:
    """The newest of all sessions in the scope; see :meth:`datacat.store.port.Reader.newest_events`."""
    found = heapq.nlargest(limit, _candidates(database, scope, names, LEVELS.index(least_level), limit))
    return [_event(database, session, n) for _, session, n in found]


def of_session(
    database: apsw.Connection, session: int, scope: Scope, names: frozenset[str], least_level: str, limit: int
) -> list[TimedEvent]:
    """The newest of one session, by the numbers under which they came."""
    sql = "SELECT n FROM event WHERE session = ? AND time >= ? AND time < ? AND level >= ?"
    values: Row = (session, *scope.span, LEVELS.index(least_level))
    if names:
        sql += " AND name IN (SELECT key FROM name WHERE name IN (SELECT value FROM json_each(?)))"
        values = (*values, json_text(sorted(names)))
    rows = list(database.execute(f"{sql} ORDER BY n DESC LIMIT ?", (*values, limit)))
    found = [_event(database, session, n) for (n,) in rows]
    return sorted(found, key=lambda each: each.event.time, reverse=True)


def range_sql(scope: Scope, index: str) -> tuple[str, Row]:
    """The newest in one range of the index ``event_named`` or ``event_severe``, and the scope's values."""
    where, values = scope_sql(scope)
    among = (
        f" AND (SELECT s.deployment FROM session AS s WHERE s.key = e.session) IN (SELECT d.key FROM deployment AS d {where})"  # noqa: S608  # ours
        if values
        else " AND e.session NOT IN (SELECT key FROM removed)"
    )
    first = "e.name = ? AND e.level >= ?" if index == "event_named" else "e.level = ? AND e.level > 1"
    return (
        f"SELECT e.time, e.session, e.n FROM event AS e INDEXED BY {index} "  # noqa: S608  # ours
        f"WHERE {first} AND e.time >= ? AND e.time < ?{among} ORDER BY e.time DESC LIMIT ?"
    ), values


def _candidates(
    database: apsw.Connection, scope: Scope, names: frozenset[str], level: int, limit: int
) -> Iterator[tuple[int, int, int]]:
    if level >= _SEVERE and not names:
        sql, among = range_sql(scope, "event_severe")
        ranges: list[Row] = [(each,) for each in range(level, len(LEVELS))]
    else:
        sql, among = range_sql(scope, "event_named")
        ranges = [(key, level) for key in _keys(database, names)]
    for chosen in ranges:
        for row in database.execute(sql, (*chosen, *scope.span, *among, limit)):
            time, session, n = row
            yield time, session, n


def _keys(database: apsw.Connection, names: frozenset[str]) -> list[int]:
    sql = "SELECT key FROM name"
    if names:
        keys = (one_integer(database, f"{sql} WHERE name = ?", (name,)) for name in names)
        return [key for key in keys if key is not None]
    return [key for (key,) in database.execute(sql)]


def _event(database: apsw.Connection, session: int, n: int) -> TimedEvent:
    row: Row | None = database.execute(_EVENT, (session, n)).fetchone()
    assert row is not None
    digits, product, version, time, name, level, message, data = row
    event = EventRow(time, name, LEVELS[level], message, Raw(data or "{}"))
    return TimedEvent(with_hyphens(digits), product, version, event)
