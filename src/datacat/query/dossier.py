"""One document on one session: the verdict, and the evidence for it."""

from typing import Any, Final

from msgspec import Raw, Struct

from datacat.model.session import Session
from datacat.model.titles import sentence
from datacat.query import sessions
from datacat.query.problems import hangs_of
from datacat.query.sessions import EventView, SessionHead
from datacat.store.asked import Wanted, Window
from datacat.store.port import Reader
from datacat.wire.timestamps import rfc3339

BEFORE: Final = 30.0
"""Seconds before the end: the state then is set beside the state at the end."""

_EVENTS: Final = 100
_METRIC_ROWS: Final = 2_000
_POINTS: Final = 20


class VerdictView(Struct):
    """What became of the program, in a word, its cause, and a plain sentence."""

    status: str
    cause: str | None
    sentence: str


class StateBefore(Struct):
    """The state some seconds before the end: of the program, of its heartbeat, or of what is known of it."""

    at: str
    seconds: float
    state: dict[str, Any]


class PointView(Struct):
    """A metric's value at a moment."""

    timestamp: str
    value: float


class SeriesView(Struct):
    """The last points of one metric with one set of tags, oldest first."""

    name: str
    kind: str
    unit: str | None
    tags: Raw
    points: list[PointView]


class Dossier(Struct):
    """``session`` has the state at the end, the exit's details, the hangs with their stacks and the lost count."""

    verdict: VerdictView
    session: SessionHead
    state_before: StateBefore
    events: list[EventView]
    metrics: list[SeriesView]


def dossier(reader: Reader, session: Session, now: int) -> Dossier:
    """All that there is to see of how ``session`` went, or stands at ``now``."""
    lately = Window(max(0, session.events - _EVENTS), session.events, newest_first=True)
    events = reader.event_window(session.id, lately, Wanted(), _EVENTS)
    moment = _moment(session) - int(BEFORE * 1_000_000)
    return Dossier(
        verdict=VerdictView(session.status.value, session.cause, sentence(session, now)),
        session=sessions.head(session, hangs_of(reader, session.id, evidence=True) if session.hangs else []),
        state_before=StateBefore(
            rfc3339(max(0, moment)), BEFORE, reader.state_at(session.id, moment) if session.changes else {}
        ),
        events=[sessions.event_view(row) for _, row in reversed(events)],
        metrics=_tails(reader, session),
    )


def _moment(session: Session) -> int:
    """When it ended; else when its oldest hang that lasts began; else when it was last heard of."""
    if session.ended_at is not None:
        return session.ended_at
    lasting = [hang.started_at for hang in session.recent_hangs if hang.ended_at is None]
    return min(lasting, default=session.updated_at)


def _tails(reader: Reader, session: Session) -> list[SeriesView]:
    rows = reader.metrics(session.id, max(0, session.metrics - _METRIC_ROWS), _METRIC_ROWS)
    series: dict[tuple[str, str, str | None, bytes], SeriesView] = {}
    for row in rows:
        key = row.name, row.kind, row.unit, bytes(row.tags)
        if key not in series:
            series[key] = SeriesView(row.name, row.kind, row.unit, row.tags, [])
        series[key].points.append(PointView(rfc3339(row.time), row.value))
    for each in series.values():
        del each.points[:-_POINTS]
    return sorted(series.values(), key=lambda each: (each.name, bytes(each.tags)))
