"""Metrics by time: of one session from its points, of all sessions from the sums."""

from collections.abc import Iterable
from typing import Final

import apsw
from msgspec import Raw

from datacat.store.asked import Aggregate, Scope
from datacat.store.found import SeriesPoint
from datacat.store.sqlite.counts import scope_sql
from datacat.store.sqlite.rows import Row
from datacat.store.sqlite.sums import METRIC_SPANS

# Last: the bare column comes from the row that has the one maximum; SQLite promises that.
_OF_SUMS: Final[dict[Aggregate, str]] = {
    "avg": "sum(m.total) / sum(m.points)",
    "sum": "sum(m.total)",
    "count": "sum(m.points)",
    "min": "min(ifnull(m.low, m.total))",
    "max": "max(ifnull(m.high, m.total))",
    "last": "ifnull(m.last, m.total), max(m.number * ?2 + m.last_at)",
}
_OF_POINTS: Final[dict[Aggregate, str]] = {
    "avg": "avg(m.value)",
    "sum": "sum(m.value)",
    "count": "count(*)",
    "min": "min(m.value)",
    "max": "max(m.value)",
    "last": "m.value, max(m.time)",
}

_OF_SESSION: Final = """
    WITH point AS NOT MATERIALIZED (SELECT m.n, m.time, m.series, m.value FROM metric AS m WHERE {within}),
      span AS (
        SELECT series, min(time) AS first, iif(count(*) > {most}, (max(time) - min(time)) / {spans} + 1, 0) AS width
        FROM point GROUP BY series)
    SELECT {shown} FROM point AS m CROSS JOIN span ON span.series = m.series
    GROUP BY m.series, iif(width, (m.time - first) / width, -1 - m.n)
"""
"""Each series's own spans, of equal width from its first point to its last; without a width each point is one.
The join is crossed, as SQLite then reads the points in the order in which they lie, and not again for each series."""

_SERIES: Final = "SELECT key FROM series WHERE name = ? ORDER BY tags, kind, unit LIMIT ?"
_IDENTITY: Final = "SELECT name, kind, unit, tags FROM series WHERE key = ?"
_NAMES: Final = """
    WITH RECURSIVE each (name) AS (
      SELECT min(name) FROM series
      UNION ALL SELECT (SELECT min(name) FROM series WHERE name > each.name) FROM each WHERE name IS NOT NULL)
    SELECT name FROM each WHERE name IS NOT NULL LIMIT ?
"""
"""From one name to the next: however many series share a name, it costs one look."""


def names(database: apsw.Connection, limit: int) -> list[str]:
    """The metrics' names, in order."""
    return [name for (name,) in database.execute(_NAMES, (limit,))]


def over_all(
    database: apsw.Connection, name: str, scope: Scope, width: int, aggregate: Aggregate, most_series: int
) -> list[SeriesPoint]:
    """A metric over all sessions of the scope; see :meth:`datacat.store.port.Reader.metric_over_all`."""
    level = max((level for level, each in enumerate(METRIC_SPANS) if each <= width), default=0)
    length = METRIC_SPANS[level]
    several = -(-width // length)
    sql, within = over_all_sql(scope, aggregate)
    since, until = scope.span
    first, end = since // length, -(-until // length)
    points: list[SeriesPoint] = []
    for (key,) in list(database.execute(_SERIES, (name, most_series))):
        rows = database.execute(sql, (several, length, key, level, first, end, *within))
        points += _points(database, ((number * several * length, key, value) for number, value, *_ in rows))
    points.sort(key=lambda point: point.time)
    return points


def over_all_sql(scope: Scope, aggregate: Aggregate) -> tuple[str, Row]:
    """The question for one series, and the scope's values."""
    where, values = scope_sql(scope)
    among = f" AND m.deployment IN (SELECT d.key FROM deployment AS d {where})" if values else ""  # noqa: S608  # ours
    return (
        f"SELECT m.number / ?1, {_OF_SUMS[aggregate]} FROM metric_sum AS m "  # noqa: S608  # ours
        f"WHERE m.series = ?3 AND m.level = ?4 AND m.number >= ?5 AND m.number < ?6{among} "
        "GROUP BY 1 ORDER BY 1"
    ), values


def of_session(
    database: apsw.Connection,
    session: int,
    name: str | None,
    scope: Scope,
    aggregate: Aggregate,
    most_points: int,
) -> list[SeriesPoint]:
    """One session's metrics; see :meth:`datacat.store.port.Reader.metric_of_session`."""
    within, values = _within(session, name, scope)
    begin = "iif(width, first + (m.time - first) / width * width, m.time)"
    shown = f"{begin}, m.series, {_OF_POINTS[aggregate]}"
    sql = _OF_SESSION.format(within=within, most=most_points, spans=most_points, shown=shown)
    rows = ((time, key, value) for time, key, value, *_ in database.execute(sql, values))
    return sorted(_points(database, rows), key=lambda point: point.time)


def extremes(
    database: apsw.Connection, session: int, name: str | None, scope: Scope, spans: int, most_points: int
) -> list[SeriesPoint]:
    """One session's metrics; see :meth:`datacat.store.port.Reader.metric_extremes`."""
    within, values = _within(session, name, scope)
    rows: dict[int, Row] = {}
    for which in ("min", "max"):
        # The bare columns come from the row that has the one extreme: SQLite promises that.
        shown = f"m.n, m.time, m.series, m.value, {which}(m.value)"
        of_spans = _OF_SESSION.format(within=within, most=most_points, spans=spans, shown=shown)
        ends = (
            f"SELECT m.n, m.time, m.series, m.value, {which}(m.time) FROM metric AS m "  # noqa: S608  # ours
            f"WHERE {within} GROUP BY m.series"
        )
        for sql in (of_spans, ends):
            rows |= {n: tuple(row) for n, *row, _ in database.execute(sql, values)}
    return sorted(
        _points(database, ((row[0], row[1], row[2]) for row in rows.values())), key=lambda p: p.time
    )


def _within(session: int, name: str | None, scope: Scope) -> tuple[str, Row]:
    within = "m.session = ? AND m.time >= ? AND m.time < ?"
    values: Row = (session, *scope.span)
    if name is not None:
        within += " AND m.series IN (SELECT key FROM series WHERE name = ?)"
        values = (*values, name)
    return within, values


def _points(database: apsw.Connection, rows: Iterable[tuple[int, int, float]]) -> list[SeriesPoint]:
    known: dict[int, tuple[str, str, str | None, Raw]] = {}
    points = []
    for time, key, value in rows:
        if (identity := known.get(key)) is None:
            for name, kind, unit, tags in database.execute(_IDENTITY, (key,)):
                identity = known[key] = name, kind, unit or None, Raw(tags)
        assert identity is not None
        points.append(SeriesPoint(time, *identity, value))
    return points
