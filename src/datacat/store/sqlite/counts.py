"""How many sessions, of which deployment, and the newest of them: each from an index or a sum."""

import heapq
from typing import Final

import apsw

from datacat.model.lifecycle import Status
from datacat.model.session import Session
from datacat.store.asked import Bucket, Dimension, Scope
from datacat.store.found import Deployment, SessionCount
from datacat.store.sqlite.rows import COLUMNS, Row, session_of
from datacat.store.sqlite.spans import Span, cut
from datacat.store.sqlite.sums import SESSION_SPANS

_DIMENSIONS: Final[tuple[Dimension, ...]] = ("product", "version", "environment")

_HOUR, _DAY = SESSION_SPANS
_BUCKETS: Final[dict[Bucket, tuple[int, int]]] = {
    # A bucket's length, and how far before 1970-01-01, a Thursday, one begins: a week does on Monday.
    "hour": (_HOUR, 0),
    "day": (_DAY, 0),
    "week": (7 * _DAY, 3 * _DAY),
}

_SUMMED: Final = "sessions, active, hung_now, ended, crashed, lost, hung, hang_duration, duration"
_COUNTED: Final = (
    "1, status = 'active', status = 'hung', status = 'ended', status = 'crashed', status = 'lost', hangs > 0, "
    "CAST(round(hang_seconds * 1000000) AS INTEGER), "
    "iif(status IN ('active', 'hung'), 0, max(0, coalesce(ended_at, updated_at) - created_at))"
)
_RUNNING: Final = "0, 0, 0, 0, 0, 0, 0, 0, max(0, updated_at - created_at)"

BY_KEY: Final = f"SELECT {', '.join(COLUMNS)} FROM session WHERE key = ?"  # noqa: S608  # constants only


def deployments(database: apsw.Connection, scope: Scope) -> list[tuple[int, Deployment]]:
    """Which there are, with their keys, in the order in which they were first seen."""
    where, values = scope_sql(scope)
    columns = ", ".join(f"d.{each}" for each in _DIMENSIONS)
    sql = f"SELECT d.key, {columns}, d.last_seen FROM deployment AS d {where} ORDER BY d.key"  # noqa: S608  # ours
    return [(key, Deployment(*row)) for key, *row in database.execute(sql, values)]


def session_counts(
    database: apsw.Connection, scope: Scope, bucket: Bucket | None, by: frozenset[Dimension], limit: int
) -> list[SessionCount]:
    """What became of the sessions, a row a bucket and group."""
    sql, values = session_counts_sql(scope, bucket, by, limit)
    return [SessionCount(*row) for row in database.execute(sql, values)]


def session_counts_sql(
    scope: Scope, bucket: Bucket | None, by: frozenset[Dimension], limit: int
) -> tuple[str, Row]:
    """The question and its values."""
    start, lengths = "NULL", list(SESSION_SPANS)
    if bucket is not None:
        length, before = _BUCKETS[bucket]
        start = f"(part.start + {before}) / {length} * {length} - {before}"
        lengths = [each for each in SESSION_SPANS if each <= length]
    since, until = scope.span
    parts = [_part(span) for span in cut(since, until, lengths)]
    parts.append(
        (
            (
                f"SELECT created_at, deployment, {_RUNNING} FROM session INDEXED BY session_running "  # noqa: S608  # ours
                "WHERE status IN ('active', 'hung') AND created_at >= ? AND created_at < ?"
            ),
            (since, until),
        )
    )
    together = " UNION ALL ".join(sql for sql, _ in parts)
    groups = ", ".join(f"d.{each}" if each in by else "NULL" for each in _DIMENSIONS)
    sums = ", ".join(f"sum(part.{each})" for each in _SUMMED.split(", ")[:-2])
    where, values = scope_sql(scope)
    asked = [str(2 + n) for n, each in enumerate(_DIMENSIONS) if each in by]
    places = ", ".join(["1", *asked] if bucket is not None else asked)
    group, order = (f"GROUP BY {places}", f"ORDER BY {places}") if places else ("", "")
    return (
        (
            f"WITH part (start, deployment, {_SUMMED}) AS ({together}) "  # noqa: S608  # ours
            f"SELECT {start}, {groups}, {sums}, total(part.hang_duration) / 1e6, total(part.duration) / 1e6 "
            f"FROM part JOIN deployment AS d ON d.key = part.deployment {where} "
            f"{group} HAVING sum(part.sessions) > 0 {order} LIMIT ?"
        ),
        (*(value for _, each in parts for value in each), *values, limit),
    )


def newest(
    database: apsw.Connection,
    scope: Scope,
    statuses: frozenset[Status],
    limit: int,
    behind: tuple[int, int] | None = None,
) -> list[Session]:
    """The sessions that began last, of these statuses (none: of all), without their states.

    ``behind`` is the beginning and the key of the session behind which they stand.
    """
    since, until = scope.span
    if behind is not None:
        until = min(until, behind[0] + 1)
    asked = (since, until, *(behind or (until, 0)), limit)
    if not statuses and scope.names_nothing:
        found = list(database.execute(newest_sql(of_one=False), asked))
    else:
        sql = newest_sql(of_one=True)
        ranges = (
            database.execute(sql, (deployment, status.value, *asked)).fetchall()
            for deployment, _ in deployments(database, scope)
            for status in statuses or Status
        )
        found = heapq.nlargest(limit, (row for each in ranges for row in each))
    return [session_of(row, {}) for _, key in found for row in database.execute(BY_KEY, (key,))]


def newest_sql(*, of_one: bool) -> str:
    """The newest in a span of time and behind a place: of one deployment and status, or of all sessions."""
    range_ = "deployment = ? AND status = ? AND" if of_one else ""
    return (
        f"SELECT created_at, key FROM session WHERE {range_} created_at >= ? AND created_at < ? "  # noqa: S608  # ours
        "AND (created_at < ? OR key < ?) ORDER BY created_at DESC, key DESC LIMIT ?"
    )


def scope_sql(scope: Scope) -> tuple[str, Row]:
    """Which deployments, called ``d``, are meant."""
    asked = {f"d.{each} = ?": getattr(scope, each) for each in _DIMENSIONS}
    conditions = [condition for condition, value in asked.items() if value is not None]
    values = tuple(value for value in asked.values() if value is not None)
    return (f"WHERE {' AND '.join(conditions)}" if conditions else ""), values


def _part(span: Span) -> tuple[str, Row]:
    if span.length:
        return (
            f"SELECT start, deployment, {_SUMMED} FROM session_sum WHERE length = ? AND start >= ? AND start < ?",  # noqa: S608  # ours
            span,
        )
    return (
        f"SELECT created_at, deployment, {_COUNTED} FROM session WHERE created_at >= ? AND created_at < ?",  # noqa: S608  # ours
        (span.since, span.until),
    )
