"""``/api/grafana/flat``: what the panels ask; filtered, limited and downsampled here, not in the browser."""

import re
from contextlib import suppress
from typing import Annotated, Any, Final, get_args

from litestar import Response, get
from litestar.params import QueryParameter
from msgspec import Struct

from datacat.api.answer import answer
from datacat.api.dependencies import ServerClock, Sessions
from datacat.api.openapi import answers, problems
from datacat.api.queries import AskedScope, StatusList, named, one_of, several_of, statuses_of
from datacat.grafana import rows
from datacat.model.errors import InvalidInput, UnknownSession
from datacat.model.ids import parse_session_id
from datacat.model.problems import CRASH, HANG, ProblemKind
from datacat.model.records import Level
from datacat.query.problems import grouped
from datacat.query.reliability import MAX_GROUPS
from datacat.store.asked import Aggregate, Bucket, Dimension, Scope
from datacat.store.found import ListedProblem
from datacat.store.port import Reader
from datacat.wire.timestamps import parse_moment

_MOST_ROWS: Final = 10_000
_MOST_SERIES: Final = 100
_MOST_NAMES: Final = 1_000
_STATE_ROWS: Final = 5_000
_DAY: Final = 86_400_000_000

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_BUCKETS: Final[tuple[tuple[Bucket, float], ...]] = (
    ("hour", 3_600.0),
    ("day", 86_400.0),
    ("week", 604_800.0),
)

NameKind = str
_NAME_KINDS: Final = ("product", "version", "environment", "metric", "event", "session")

SessionId = Annotated[str | None, QueryParameter(name="session", description="Of this session alone.")]
Limit = Annotated[int, QueryParameter(ge=1, le=_MOST_ROWS, description="At most so many, the newest.")]

_MEANT: Final = problems(422, 503)


def _rows_of(kind: type[Struct], description: str) -> dict[int, Any]:
    return {**answers(list[kind], description), **_MEANT}  # type: ignore[valid-type]  # a struct's class is what it takes


@get(["/api/grafana", "/api/grafana/"], tags=["grafana"], sync_to_thread=False)
def greeting() -> dict[str, str]:
    """What a data source's "Save & test" asks."""
    return {"status": "ok"}


@get("/api/grafana/flat/summary", tags=["grafana"], responses=_rows_of(rows.SummaryRow, "Exactly one row."))
async def summary(reader: Sessions, within: AskedScope) -> Response[bytes]:
    """How many sessions there are, how they stand, and how reliable they were; of those that began in the time."""
    return await answer(lambda: [rows.summary_row(reader.session_counts(within, None, frozenset(), 1))])


@get(
    "/api/grafana/flat/reliability",
    tags=["grafana"],
    responses=_rows_of(rows.ReliabilityRow, "A row a product and version, and a span of time."),
)
async def reliability(
    reader: Sessions,
    within: AskedScope,
    interval: Annotated[
        str | None,
        QueryParameter(
            description="hour, day, week, or a duration such as 6h: the shortest of the three that is no shorter."
        ),
    ] = None,
    by: Annotated[
        str, QueryParameter(description="product, version, environment, with commas between; or none.")
    ] = "product,version",
    max_points: Annotated[
        int,
        QueryParameter(ge=1, le=_MOST_ROWS, description="At most so many spans; longer ones, if need be."),
    ] = 200,
) -> Response[bytes]:
    """Release health of the sessions that began in the time, side by side."""
    bucket = _bucket(interval, within, max_points) if interval else None
    dimensions: frozenset[Dimension] = (
        frozenset() if by == "none" else several_of(by, "by", get_args(Dimension))
    )
    return await answer(
        lambda: [
            rows.reliability_row(count)
            for count in reader.session_counts(within, bucket, dimensions, MAX_GROUPS)
        ]
    )


@get("/api/grafana/flat/sessions", tags=["grafana"], responses=_rows_of(rows.SessionRow, "Newest first."))
async def list_sessions(
    reader: Sessions,
    within: AskedScope,
    clock: ServerClock,
    session_id: SessionId = None,
    status: StatusList = None,
    limit: Limit = 100,
) -> Response[bytes]:
    """Sessions that began in the time; or the one asked for, whenever that was."""
    statuses = statuses_of(status)
    one = _session(session_id)

    def read() -> list[rows.SessionRow]:
        if one is not None:
            found = [session for session in (reader.session(one),) if session is not None]
        else:
            found = reader.newest_sessions(within, statuses, limit)
        now = clock.now()
        return [rows.session_row(session, now) for session in found]

    return await answer(read)


@get("/api/grafana/flat/metrics", tags=["grafana"], responses=_rows_of(rows.MetricRow, "Ascending in time."))
async def metrics(
    reader: Sessions,
    within: AskedScope,
    clock: ServerClock,
    name: Annotated[str | None, QueryParameter(description="The metric's name.")] = None,
    session_id: SessionId = None,
    max_points: Annotated[
        int, QueryParameter(ge=1, le=_MOST_ROWS, description="At most so many of each series.")
    ] = 1_000,
    aggregate: Annotated[
        str, QueryParameter(description="What a point is of those that it stands for.")
    ] = "avg",
) -> Response[bytes]:
    """A metric over all sessions that are meant, joined in spans of 10 seconds and longer; or one session's metrics.

    One session's points come as they were recorded as long as they are no more than asked for; else a point
    stands for each of so many spans between the first and the last. Without a time it is all of a session, or the
    last 24 hours. Of all sessions, it takes a name: without one there is no row.
    """
    how: Aggregate = one_of(aggregate, "aggregate", get_args(Aggregate))
    metric, one = named(name), _session(session_id)

    def read() -> list[rows.MetricRow]:
        if one is None:
            if metric is None:
                return []
            now = clock.now()
            span = _timed(within, now - _DAY, now)
            found = reader.metric_over_all(metric, span, _width(span, max_points), how, _MOST_SERIES)
        else:
            if reader.session(one) is None:
                return []
            found = reader.metric_of_session(one, metric, within, how, max_points)
        return rows.metric_rows(found, one)

    return await answer(read)


@get("/api/grafana/flat/events", tags=["grafana"], responses=_rows_of(rows.EventRow, "Ascending in time."))
async def events(
    reader: Sessions,
    within: AskedScope,
    name: Annotated[
        str | None, QueryParameter(description="The event's name; several with commas between.")
    ] = None,
    session_id: SessionId = None,
    level: Annotated[
        str | None, QueryParameter(description="No less serious: debug, info, warning, error or fatal.")
    ] = None,
    limit: Limit = 100,
) -> Response[bytes]:
    """The newest events in the time, of all sessions that are meant or of one."""
    least: Level = one_of(named(level) or "debug", "level", get_args(Level))
    names = frozenset(each for each in (named(name) or "").split(",") if each)
    one = _session(session_id)

    def read() -> list[rows.EventRow]:
        with suppress(UnknownSession):
            found = reader.newest_events(within, one, names, least, limit)
            return [rows.event_row(each) for each in reversed(found)]
        return []

    return await answer(read)


@get(
    "/api/grafana/flat/problems", tags=["grafana"], responses=_rows_of(rows.ProblemRow, "Ascending in time.")
)
async def list_problems(
    reader: Sessions,
    within: AskedScope,
    clock: ServerClock,
    kind: Annotated[str | None, QueryParameter(description="hang, crash or lost; all without it.")] = None,
    session_id: SessionId = None,
    limit: Limit = 100,
) -> Response[bytes]:
    """Hangs, crashes and losses of contact that began in the time: the newest, of all sessions or of one."""
    asked: ProblemKind | None = one_of(kind, "kind", get_args(ProblemKind)) if named(kind) and kind else None
    one = _session(session_id)

    def read() -> list[rows.ProblemRow]:
        if one is None:
            found = reader.problems(asked, within, limit)
        else:
            found = [each for each in _of_session(reader, one, within) if asked in (None, each.problem.kind)]
        now = clock.now()
        return sorted((rows.problem_row(each, now) for each in found), key=lambda row: row.time)

    return await answer(read)


@get("/api/grafana/flat/groups", tags=["grafana"], responses=_rows_of(rows.GroupRow, "Most frequent first."))
async def groups(
    reader: Sessions,
    within: AskedScope,
    kind: Annotated[str, QueryParameter(description="hang or crash.")] = HANG,
    limit: Annotated[int, QueryParameter(ge=1, le=1_000, description="At most so many.")] = 20,
) -> Response[bytes]:
    """The same hang, or the same crash, counted: how often, in which versions."""
    asked: ProblemKind = one_of(kind, "kind", (HANG, CRASH))
    return await answer(lambda: [rows.group_row(group) for group in grouped(reader, asked, within, limit)])


@get("/api/grafana/flat/state", tags=["grafana"], responses=_rows_of(rows.StateRow, "In the state's order."))
async def state(
    reader: Sessions,
    session_id: SessionId = None,
    at: Annotated[
        str | None, QueryParameter(description="As it was at this moment; as it is now without it.")
    ] = None,
) -> Response[bytes]:
    """A session's state, a row a value."""
    one = _session(session_id)
    moment = parse_moment(at, field="at") if at else None

    def read() -> list[rows.StateRow]:
        session = reader.session(one) if one else None
        if one is None or session is None:
            return []
        return rows.state_rows(session.state if moment is None else reader.state_at(one, moment), _STATE_ROWS)

    return await answer(read)


@get("/api/grafana/flat/names", tags=["grafana"], responses=_rows_of(rows.NameRow, "A row a name."))
async def names(
    reader: Sessions,
    within: AskedScope,
    kind: Annotated[
        str, QueryParameter(description="product, version, environment, metric, event or session.")
    ],
) -> Response[bytes]:
    """What a dashboard's variable may be: names in order, sessions newest first; at most 1,000."""
    asked = one_of(kind, "kind", _NAME_KINDS)

    def read() -> list[rows.NameRow]:
        match asked:
            case "metric":
                found = reader.metric_names(_MOST_NAMES)
            case "event":
                found = reader.event_names(_MOST_NAMES)
            case "session":
                newest = reader.newest_sessions(within, frozenset(), _MOST_NAMES)
                return [rows.session_name(session) for session in newest]
            case _:
                each = {getattr(deployment, asked) for deployment in reader.deployments(within)}
                found = sorted(name for name in each if name)[:_MOST_NAMES]
        return [rows.NameRow(text=name, value=name) for name in found]

    return await answer(read)


HANDLERS: Final = (
    greeting,
    summary,
    reliability,
    list_sessions,
    metrics,
    events,
    list_problems,
    groups,
    state,
    names,
)


def _session(text: str | None) -> str | None:
    asked = named(text)
    return None if asked is None else parse_session_id(asked, field="session")


def _of_session(reader: Reader, session_id: str, scope: Scope) -> list[ListedProblem]:
    session = reader.session(session_id)
    if session is None:
        return []
    since, until = scope.span
    # What began before the time, and lasts into it, is seen in it.
    return [
        ListedProblem(0, session.id, session.product, session.version, session.environment, problem)
        for problem in reader.problems_of(session_id, evidence=False)
        if problem.started_at < until and (problem.ended_at is None or problem.ended_at >= since)
    ]


def _timed(scope: Scope, since: int, now: int) -> Scope:
    """The scope with both ends of its time: where it has none, from ``since`` until now."""
    return Scope(
        product=scope.product,
        version=scope.version,
        environment=scope.environment,
        since=max(0, since) if scope.since is None else scope.since,
        until=now + 1 if scope.until is None else scope.until,
    )


def _width(scope: Scope, max_points: int) -> int:
    since, until = scope.span
    return max(1, -(-(until - since) // max_points))


def _bucket(text: str, within: Scope, max_points: int) -> Bucket:
    match = re.fullmatch(r"(\d{1,9})(ms|[smhdw])", text)
    if match is None and text not in get_args(Bucket):
        raise InvalidInput(
            "wrong_value",
            f"interval is hour, day, week or a duration such as 6h, not {text[:40]!r}",
            field="interval",
            found=repr(text[:40]),
            expected="hour, day, week, or a number with ms, s, m, h, d or w",
        )
    seconds = (
        int(match[1]) * _UNITS[match[2]]
        if match
        else dict(_BUCKETS)[one_of(text, "interval", get_args(Bucket))]
    )
    since, until = within.span
    seconds = max(seconds, (until - since) / 1e6 / max_points)
    return next((bucket for bucket, length in _BUCKETS if seconds <= length), "week")
