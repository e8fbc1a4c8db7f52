"""Flat rows, as JSON data sources need them.

What must hold in every answer: every key is in every row, null where there is nothing; moments are
epoch milliseconds; rows that have a ``time`` ascend in it; no number is NaN or infinite (msgspec
writes null); tags and data are text. Data sources fail on each of these without saying why.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from datacat.model.problems import HANG, Problem
from datacat.model.session import Session
from datacat.model.titles import sentence
from datacat.query.problems import GroupView
from datacat.query.wilson import wilson_interval
from datacat.store.found import ListedProblem, SeriesPoint, SessionCount, TimedEvent
from datacat.wire.timestamps import rfc3339


class SummaryRow(Struct, kw_only=True):
    """All the sessions that are meant; rates are null where there are none.

    ``active`` and ``hung`` count those that stand so now, ``ever_hung`` those that hung at any time.
    """

    total: int
    active: int
    hung: int
    ended: int
    crashed: int
    lost: int
    ever_hung: int
    crash_free_rate: float | None
    hang_free_rate: float | None
    lost_rate: float | None
    hang_seconds: float
    hang_seconds_per_hour: float | None


class ReliabilityRow(Struct, kw_only=True):
    """Release health of one product and version, in one span of time where that is asked for.

    ``low`` and ``high`` bound the rate before them: Wilson's interval of 95 %.
    """

    time: int | None
    product: str | None
    version: str | None
    environment: str | None
    sessions: int
    crashed: int
    ever_hung: int
    lost: int
    crash_free_rate: float
    crash_free_low: float
    crash_free_high: float
    hang_free_rate: float
    hang_free_low: float
    hang_free_high: float
    lost_rate: float
    hang_seconds: float
    hang_seconds_per_hour: float | None


class SessionRow(Struct, kw_only=True):
    """One session; ``lost`` counts records that never arrived, ``tags`` are joined with commas."""

    id: str
    product: str | None
    version: str | None
    environment: str | None
    hostname: str | None
    pid: int | None
    tags: str
    created_at: int
    updated_at: int
    ended_at: int | None
    status: str
    cause: str | None
    verdict: str
    hung_at_end: bool
    hangs: int
    hang_seconds: float
    duration_seconds: float
    events: int
    metrics: int
    lost: int
    last_event: str | None
    last_event_at: int | None
    last_heartbeat_at: int | None


class MetricRow(Struct, kw_only=True):
    """One value of a series; ``session`` is null where it is of all sessions."""

    time: int
    session: str | None
    metric: str
    value: float
    unit: str | None
    tags: str


class EventRow(Struct, kw_only=True):
    """One event, which is an annotation too."""

    time: int
    session: str
    product: str | None
    version: str | None
    event: str
    level: str
    title: str
    text: str
    tags: str
    data: str


class ProblemRow(Struct, kw_only=True, rename={"time_end": "timeEnd"}):
    """A hang, a crash or a loss of contact, which is a region too; one that lasts is drawn up to now.

    ``problem`` is hang, crash or lost, ``detail`` a hang's kind or a crash's cause.
    """

    time: int
    time_end: int
    ended_at: int | None
    problem: str
    detail: str
    session: str
    product: str | None
    version: str | None
    environment: str | None
    title: str
    text: str
    seconds: float | None
    fingerprint: str | None
    tags: str


class GroupRow(Struct, kw_only=True):
    """Problems in the same place of the program; ``session`` is that of the latest."""

    title: str
    count: int
    sessions: int
    first_seen: str
    last_seen: str
    products: str
    versions: str
    fingerprint: str
    session: str


class StateRow(Struct, kw_only=True):
    """One value of a state, at a JSON Pointer (RFC 6901)."""

    path: str
    value: str
    type: str


class NameRow(Struct, kw_only=True, rename={"text": "__text", "value": "__value"}):
    """A choice of a dashboard's variable."""

    text: str
    value: str


def milliseconds(microseconds: int) -> int:
    """A moment as data sources take it."""
    return microseconds // 1_000


def summary_row(counts: list[SessionCount]) -> SummaryRow:
    """What ``counts`` of one group, or of none, say."""
    if not counts:
        zero = SessionCount(None, None, None, None, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0)
        return summary_row([zero])
    (count,) = counts
    total = count.sessions
    return SummaryRow(
        total=total,
        active=count.active,
        hung=count.hung_now,
        ended=count.ended,
        crashed=count.crashed,
        lost=count.lost,
        ever_hung=count.hung,
        crash_free_rate=(total - count.crashed) / total if total else None,
        hang_free_rate=(total - count.hung) / total if total else None,
        lost_rate=count.lost / total if total else None,
        hang_seconds=count.hang_seconds,
        hang_seconds_per_hour=_per_hour(count),
    )


def reliability_row(count: SessionCount) -> ReliabilityRow:
    """Release health of one group."""
    total = count.sessions
    crash_free, hang_free = total - count.crashed, total - count.hung
    crash_low, crash_high = wilson_interval(crash_free, total)
    hang_low, hang_high = wilson_interval(hang_free, total)
    return ReliabilityRow(
        time=None if count.bucket is None else milliseconds(count.bucket),
        product=count.product,
        version=count.version,
        environment=count.environment,
        sessions=total,
        crashed=count.crashed,
        ever_hung=count.hung,
        lost=count.lost,
        crash_free_rate=crash_free / total,
        crash_free_low=crash_low,
        crash_free_high=crash_high,
        hang_free_rate=hang_free / total,
        hang_free_low=hang_low,
        hang_free_high=hang_high,
        lost_rate=count.lost / total,
        hang_seconds=count.hang_seconds,
        hang_seconds_per_hour=_per_hour(count),
    )


def session_row(session: Session, now: int) -> SessionRow:
    """One session; ``now`` is in microseconds since the epoch."""
    until = session.ended_at if session.ended_at is not None else session.updated_at
    return SessionRow(
        id=session.id,
        product=session.product,
        version=session.version,
        environment=session.environment,
        hostname=session.hostname,
        pid=session.pid,
        tags=",".join(session.tags),
        created_at=milliseconds(session.created_at),
        updated_at=milliseconds(session.updated_at),
        ended_at=_moment(session.ended_at),
        status=session.status.value,
        cause=session.cause,
        verdict=sentence(session, now),
        hung_at_end=session.hung_at_end,
        hangs=session.hangs,
        hang_seconds=session.hang_seconds,
        duration_seconds=max(0, until - session.created_at) / 1e6,
        events=session.events,
        metrics=session.metrics,
        lost=session.lost,
        last_event=session.last_event,
        last_event_at=_moment(session.last_event_at),
        last_heartbeat_at=_moment(session.last_heartbeat_at),
    )


def metric_rows(points: Iterable[SeriesPoint], session_id: str | None) -> list[MetricRow]:
    """The points of any number of series."""
    return [
        MetricRow(
            time=milliseconds(point.time),
            session=session_id,
            metric=point.name,
            value=point.value,
            unit=point.unit,
            tags=_joined(point.tags),
        )
        for point in points
    ]


def event_row(timed: TimedEvent) -> EventRow:
    """One event."""
    event = timed.event
    data = str(event.data, "utf-8")
    return EventRow(
        time=milliseconds(event.time),
        session=timed.session_id,
        product=timed.product,
        version=timed.version,
        event=event.name,
        level=event.level,
        title=event.name,
        text=event.message or ("" if data == "{}" else data),
        tags=event.level,
        data=data,
    )


def problem_row(listed: ListedProblem, now: int) -> ProblemRow:
    """One problem among those of many sessions."""
    problem = listed.problem
    end = now if problem.ended_at is None else problem.ended_at
    return ProblemRow(
        time=milliseconds(problem.started_at),
        time_end=milliseconds(max(end, problem.started_at)),
        ended_at=_moment(problem.ended_at),
        problem=problem.kind,
        detail=problem.detail,
        session=listed.session_id,
        product=listed.product,
        version=listed.version,
        environment=listed.environment,
        title=problem.title,
        text=_in_words(problem),
        seconds=problem.seconds,
        fingerprint=problem.fingerprint,
        tags=f"{problem.kind},{problem.detail}" if problem.detail else problem.kind,
    )


def group_row(group: GroupView) -> GroupRow:
    """Problems of one fingerprint."""
    return GroupRow(
        title=group.title,
        count=group.count,
        sessions=group.sessions,
        first_seen=group.first_seen,
        last_seen=group.last_seen,
        products=", ".join(name for name in group.products if name),
        versions=", ".join(dict.fromkeys(share.version for share in group.versions if share.version)),
        fingerprint=group.fingerprint,
        session=group.sample_session_id,
    )


def state_rows(state: dict[str, Any], limit: int) -> list[StateRow]:
    """The values of a state in their order; an empty object or list is a value."""
    rows: list[StateRow] = []
    waiting: list[tuple[str, Any]] = [("", state)]
    while waiting and len(rows) < limit:
        path, value = waiting.pop()
        if value and isinstance(value, dict):
            inner = [(key.replace("~", "~0").replace("/", "~1"), each) for key, each in value.items()]
        elif value and isinstance(value, list):
            inner = [(str(number), each) for number, each in enumerate(value)]
        else:
            if path:
                rows.append(StateRow(path=path, value=_text(value), type=_TYPES[type(value)]))
            continue
        waiting += reversed([(f"{path}/{key}", each) for key, each in inner])
    return rows


def session_name(session: Session) -> NameRow:
    """A session as a choice: what it is of, when it began, how it stands."""
    begun = rfc3339(session.created_at)[:19].replace("T", " ")
    of = " ".join(word for word in (session.product, session.version) if word)
    return NameRow(text=f"{begun} {of} {session.status.value} {session.id[-6:]}", value=session.id)


_TYPES: Final[dict[type, str]] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _joined(tags: Raw) -> str:
    return ",".join(msgspec.json.decode(tags, type=list[str]))


def _in_words(problem: Problem) -> str:
    if problem.seconds is None:
        return "it lasts" if problem.ended_at is None else ""
    return (
        f"{problem.detail} for {problem.seconds:.3g} s"
        if problem.kind == HANG
        else f"{problem.seconds:.3g} s"
    )


def _per_hour(count: SessionCount) -> float | None:
    return count.hang_seconds * 3600 / count.seconds if count.seconds else None


def _moment(microseconds: int | None) -> int | None:
    return None if microseconds is None else milliseconds(microseconds)
