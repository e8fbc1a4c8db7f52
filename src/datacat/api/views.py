"""The shapes of answers, as OpenAPI shows them."""

from typing import Any, Literal

from msgspec import Struct

from datacat.query.curves import CurvePoint
from datacat.query.dossier import PointView, StateBefore, VerdictView
from datacat.query.sessions import SessionHead


class Ok(Struct):
    """It is done, and durable."""

    status: Literal["ok"] = "ok"


class SessionCreated(Struct):
    """The session's id: the one asked for, or a new one."""

    session_id: str


class EventAnswer(Struct):
    """One event of a session; ``data`` is a JSON object."""

    timestamp: str
    name: str
    level: str
    message: str | None
    data: dict[str, Any]


class MetricAnswer(Struct):
    """One metric of a session."""

    timestamp: str
    name: str
    kind: str
    value: float
    unit: str | None
    tags: list[str]


class SessionView(SessionHead, kw_only=True, omit_defaults=True):
    """A session whole: its lists are oldest first, and left out where that was asked for."""

    events: list[EventAnswer] = []
    metrics: list[MetricAnswer] = []


class NumberedEventAnswer(EventAnswer, kw_only=True):
    """One event with its number, which counts the session's from 1."""

    number: int


class EventsAnswer(Struct):
    """A page of events, oldest first; ``previous`` is the ``before`` of the page before, ``next`` the ``after`` of the next."""

    events: list[NumberedEventAnswer]
    previous: int | None
    next: int | None


class NumberedMetricAnswer(MetricAnswer, kw_only=True):
    """One metric with its number, which counts the session's from 1."""

    number: int


class MetricsAnswer(Struct):
    """A page of metrics, as of events."""

    metrics: list[NumberedMetricAnswer]
    previous: int | None
    next: int | None


class CurveAnswer(Struct):
    """One metric with one set of tags, oldest point first."""

    name: str
    kind: str
    unit: str | None
    tags: list[str]
    points: list[CurvePoint]


class CurvesAnswer(Struct):
    """A session's curves, by their names and tags."""

    series: list[CurveAnswer]


class ChangeAnswer(Struct):
    """One change of state: ``remove`` (JSON Pointers) goes first, then ``merge`` is merged in."""

    number: int
    timestamp: str
    merge: dict[str, Any]
    remove: list[str]


class ChangesAnswer(Struct):
    """Changes in the order in which they were made; ``next`` is the ``after`` of the next page, null on the last."""

    changes: list[ChangeAnswer]
    next: int | None


class DifferenceAnswer(Struct):
    """One operation of a JSON Patch (RFC 6902), and what was there ``before``, where anything was."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any = None
    before: Any = None


class DiffAnswer(Struct, rename={"since": "from", "until": "to"}):
    """What makes of the state at ``from`` the state at ``to``."""

    since: str
    until: str
    patch: list[DifferenceAnswer]


class SeriesAnswer(Struct):
    """The last points of one metric with one set of tags, oldest first."""

    name: str
    kind: str
    unit: str | None
    tags: list[str]
    points: list[PointView]


class DossierAnswer(Struct):
    """How a session went, or stands, with the evidence; the lists have their newest entries, oldest first."""

    verdict: VerdictView
    session: SessionHead
    state_before: StateBefore
    events: list[EventAnswer]
    metrics: list[SeriesAnswer]
