"""The ``problem`` table, and the questions that go over many sessions."""

from typing import Any, Final, get_args

import apsw
from msgspec import Raw

from datacat.model.clock import CLOCK_JUMP
from datacat.model.problems import Problem, ProblemKind
from datacat.store.asked import Scope
from datacat.store.found import ListedProblem, Overdue, ProblemCount
from datacat.store.sqlite.rows import Row, with_hyphens

_COLUMNS: Final = (
    "kind",
    "number",
    "started_at",
    "ended_at",
    "seconds",
    "monitor",
    "detail",
    "fingerprint",
    "title",
)

UPSERT_PROBLEM: Final = (
    f"INSERT INTO problem (session, {', '.join(_COLUMNS)}, evidence) "  # noqa: S608  # constants only
    f"VALUES ({', '.join('?' * (len(_COLUMNS) + 2))}) ON CONFLICT (session, kind, number) DO UPDATE SET "
    f"{', '.join(f'{column} = excluded.{column}' for column in _COLUMNS[2:])}, "
    "evidence = coalesce(excluded.evidence, evidence)"
)
_OF_SESSION: Final = (
    f"SELECT {', '.join(_COLUMNS)}, CASE WHEN ? THEN evidence END FROM problem "  # noqa: S608  # constants only
    "WHERE session = ? ORDER BY key"
)
_PROMISED: Final = """
    SELECT lower(hex(id)), updated_at, contact_timeout, coalesce(json_extract(last_seq, '$.server'), 0)
    FROM session
    WHERE contact_timeout IS NOT NULL AND status IN ('active', 'hung')
"""
_OVERDUE: Final = f"""{_PROMISED}
      AND updated_at + CAST(contact_timeout * 1000000 AS INTEGER) < ?1
      AND CAST(contact_timeout * 1000000 AS INTEGER) < ?1 - ?2
    ORDER BY updated_at + CAST(contact_timeout * 1000000 AS INTEGER) LIMIT ?3
"""
# What is due later than the moment asked for is a range of an index, and those ahead are in it.
_AHEAD: Final = f"""{_PROMISED}
      AND updated_at + CAST(contact_timeout * 1000000 AS INTEGER) > ?1 AND updated_at > ?1
    ORDER BY contact_timeout LIMIT ?2
"""


def problem_row(session: int, problem: Problem) -> Row:
    """The values of :data:`UPSERT_PROBLEM`."""
    values = [getattr(problem, column) for column in _COLUMNS]
    return (session, *values, str(problem.evidence, "utf-8") if problem.evidence else None)


def problems_of(database: apsw.Connection, session: int, *, evidence: bool) -> list[Problem]:
    """One session's problems, oldest first."""
    return [_problem(row) for row in database.execute(_OF_SESSION, (evidence, session))]


def newest(
    database: apsw.Connection, kind: ProblemKind | None, scope: Scope, limit: int
) -> list[ListedProblem]:
    """Problems of many sessions, newest first; see :meth:`datacat.store.port.Reader.problems`."""
    sql, values = newest_sql(kind, scope, limit)
    return [
        ListedProblem(key, with_hyphens(session), product, version, environment, _problem((*row, None)))
        for key, session, product, version, environment, *row in database.execute(sql, values)
    ]


def counts(database: apsw.Connection, kind: ProblemKind, scope: Scope) -> list[ProblemCount]:
    """How often each fingerprint was seen in each version of each product."""
    sql, values = _counts_sql(kind, scope)
    return [
        ProblemCount(fingerprint, product, version, count, sessions, first, last, title, with_hyphens(sample))
        for fingerprint, product, version, count, sessions, first, last, title, sample in database.execute(
            sql, values
        )
    ]


def overdue(database: apsw.Connection, now: int, listening_since: int, limit: int) -> list[Overdue]:
    """The sessions that broke their promise, the longest overdue first."""
    rows = database.execute(_OVERDUE, (now, listening_since, limit))
    return [Overdue(with_hyphens(row[0]), *row[1:]) for row in rows]


def ahead(database: apsw.Connection, now: int, limit: int) -> list[Overdue]:
    """The sessions that were last heard of after ``now``, as clocks are corrected a little all the time."""
    rows = database.execute(_AHEAD, (now + int(CLOCK_JUMP * 1_000_000), limit))
    return [Overdue(with_hyphens(row[0]), *row[1:]) for row in rows]


def _problem(row: Row) -> Problem:
    *values, evidence = row
    fields: dict[str, Any] = dict(zip(_COLUMNS, values, strict=True))
    return Problem(**fields, evidence=Raw(evidence or ""))


def newest_sql(kind: ProblemKind | None, scope: Scope, limit: int) -> tuple[str, Row]:
    """The question and its values: never more rows are read than are answered, but for a deployment's."""
    if scope.since is None and scope.until is None:
        return _range_sql("p.kind = ?", kind, scope, "p.key DESC", limit)
    kinds: tuple[ProblemKind, ...] = get_args(ProblemKind) if kind is None else (kind,)
    ranges = [_range_sql("p.kind = ?", each, scope, "p.started_at DESC, p.key DESC", limit) for each in kinds]
    together = " UNION ALL ".join(f"SELECT * FROM ({sql})" for sql, _ in ranges)  # noqa: S608  # ours
    values = tuple(value for _, some in ranges for value in some)
    return f"{together} ORDER BY started_at DESC, key DESC LIMIT ?", (*values, limit)


def _range_sql(
    of_kind: str, kind: ProblemKind | None, scope: Scope, order: str, limit: int
) -> tuple[str, Row]:
    where, values = _where("p.started_at", scope, (of_kind, kind))
    columns = ", ".join(f"p.{column}" for column in _COLUMNS)
    return (
        (
            f"SELECT p.key, lower(hex(s.id)), s.product, s.version, s.environment, {columns} "  # noqa: S608  # ours
            f"FROM problem AS p JOIN session AS s ON s.key = p.session {where} ORDER BY {order} LIMIT ?"
        ),
        (*values, limit),
    )


def _counts_sql(kind: ProblemKind, scope: Scope) -> tuple[str, Row]:
    # The bare columns come from the row that has the maximum: SQLite promises that.
    where, values = _where("p.started_at", scope, ("p.kind = ?", kind))
    return (
        (
            "SELECT p.fingerprint, s.product, s.version, count(*), count(DISTINCT p.session), "  # noqa: S608  # ours
            "min(p.started_at), max(p.started_at), p.title, lower(hex(s.id)) "
            f"FROM problem AS p JOIN session AS s ON s.key = p.session {where} "
            "GROUP BY p.fingerprint, s.product, s.version"
        ),
        values,
    )


def _where(time: str, scope: Scope, kind: tuple[str, ProblemKind | None]) -> tuple[str, Row]:
    asked = {
        kind[0]: kind[1],
        "s.product = ?": scope.product,
        "s.version = ?": scope.version,
        "s.environment = ?": scope.environment,
        f"{time} >= ?": scope.since,
        f"{time} < ?": scope.until,
    }
    conditions = [condition for condition, value in asked.items() if value is not None]
    values = tuple(value for value in asked.values() if value is not None)
    return (f"WHERE {' AND '.join(conditions)}" if conditions else ""), values
