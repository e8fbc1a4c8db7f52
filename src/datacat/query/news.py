"""What is told live: messages about a session, out of what was committed just now, or out of what is stored.

What must hold: one row is told in the same words from either place, so that a reader never sees from where
it came.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any, Final, Literal, Protocol, TypeVar, get_args

from msgspec import Raw, Struct

from datacat.model.fold import Folded
from datacat.model.problems import Problem
from datacat.model.records import Event, Level, Metric
from datacat.model.session import Change, Session
from datacat.query.problems import live_problem
from datacat.query.summaries import summary
from datacat.store.found import ChangeRow, EventRow, MetricRow
from datacat.wire.codec import encode
from datacat.wire.timestamps import rfc3339


class _Row(Protocol):
    @property
    def time(self) -> int: ...


T = TypeVar("T", bound=_Row)

Kind = Literal["session", "event", "metric", "state", "problem"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
LEVELS: Final[tuple[Level, ...]] = get_args(Level)

_RANKS: Final[dict[str, int]] = {level: rank for rank, level in enumerate(LEVELS)}
_ABOVE_ALL: Final = len(LEVELS)

_EMPTY_OBJECT: Final = Raw(b"{}")

standing = attrgetter(
    "status",
    "cause",
    "hung_at_end",
    "hangs",
    "hang_seconds",
    "ended_at",
    "product",
    "version",
    "environment",
    "hostname",
    "pid",
    "tags",
)
"""What of a session is news when it changes; its counts are none, as the rows themselves are told."""


class Filter(Struct, frozen=True, kw_only=True):
    """What one reader wants: of which sessions, which kinds, and events from ``least_level`` (a rank) up."""

    kinds: frozenset[Kind]
    least_level: int = 0
    product: str | None = None
    version: str | None = None
    environment: str | None = None

    def of(self, session: Session) -> bool:
        """Whether the session is one of those wanted."""
        return (
            self.product in (None, session.product)
            and self.version in (None, session.version)
            and self.environment in (None, session.environment)
        )


class News(Struct, frozen=True, gc=False):
    """One message: its JSON, encoded once for all readers. What has no level ranks above all."""

    kind: Kind
    data: bytes
    level: int = _ABOVE_ALL
    number: int = 0


class LiveEvent(Struct, gc=False):
    """An event with its session and its number there, which counts from 1."""

    session_id: str
    product: str | None
    version: str | None
    number: int
    timestamp: str
    name: str
    level: str
    message: str | None
    data: Raw


class LiveMetric(Struct, gc=False):
    """A metric with its session and its number there."""

    session_id: str
    product: str | None
    version: str | None
    number: int
    timestamp: str
    name: str
    kind: str
    value: float
    unit: str | None
    tags: Any


class LiveState(Struct, gc=False):
    """A change of state with its session and its number there: ``remove`` goes first, then ``merge``."""

    session_id: str
    product: str | None
    version: str | None
    number: int
    timestamp: str
    merge: Any
    remove: Any


def of_session(session: Session, now: int) -> News:
    """How the session stands at ``now``, microseconds since the epoch."""
    return News("session", encode(summary(session, now)))


def of_problem(session: Session, problem: Problem) -> News:
    """A problem as it stands."""
    return News("problem", encode(live_problem(session, problem)))


def rows(
    session: Session,
    events: Iterable[tuple[int, Event | EventRow]],
    metrics: Iterable[tuple[int, Metric | MetricRow]],
    changes: Iterable[tuple[int, Change | ChangeRow]],
) -> Iterator[News]:
    """Numbered rows of a session (from 1), by time as far as each list's own order lets them; encoded as they are taken."""
    merged = heapq.merge(
        _timed(_event, session, events),
        _timed(_metric, session, metrics),
        _timed(_change, session, changes),
        key=itemgetter(0),
    )
    for _, tell in merged:
        yield tell()


def _timed(
    tell: Callable[[Session, int, T], News], session: Session, found: Iterable[tuple[int, T]]
) -> Iterator[tuple[int, Callable[[], News]]]:
    return ((row.time, partial(tell, session, number, row)) for number, row in found)


def _event(session: Session, number: int, row: Event | EventRow) -> News:
    view = LiveEvent(
        session.id,
        session.product,
        session.version,
        number,
        rfc3339(row.time),
        row.name,
        row.level,
        row.message,
        row.data or _EMPTY_OBJECT,
    )
    return News("event", encode(view), _RANKS[row.level], number)


def _metric(session: Session, number: int, row: Metric | MetricRow) -> News:
    view = LiveMetric(
        session.id,
        session.product,
        session.version,
        number,
        rfc3339(row.time),
        row.name,
        row.kind,
        row.value,
        row.unit,
        row.tags,
    )
    return News("metric", encode(view), number=number)


def _change(session: Session, number: int, row: Change | ChangeRow) -> News:
    view = LiveState(
        session.id,
        session.product,
        session.version,
        number,
        rfc3339(row.time),
        row.merge,
        row.remove,
    )
    return News("state", encode(view), number=number)


class Commit:
    """What one commit has to tell of one session.

    Args:
        folded: what was committed.
        kinds: those that anybody wants.
        least_level: the rank from which on anybody wants events.
    """

    def __init__(self, folded: Folded, kinds: frozenset[Kind], least_level: int) -> None:
        session = folded.session
        self._folded = folded
        self._begins = folded.before is None
        self._tells_session = "session" in kinds and (
            folded.before is None or standing(folded.before) != standing(session)
        )
        self._events = _numbered(folded.events, session.events, "event" in kinds)
        if least_level:
            self._events = [each for each in self._events if _RANKS[each[1].level] >= least_level]
        self._metrics = _numbered(folded.metrics, session.metrics, "metric" in kinds)
        self._changes = _numbered(folded.changes, session.changes, "state" in kinds)
        self._problems = folded.problems if "problem" in kinds else []
        self.counts: dict[Kind, int] = {
            "session": int(self._tells_session),
            "event": len(self._events),
            "metric": len(self._metrics),
            "state": len(self._changes),
            "problem": len(self._problems),
        }

    def news(self, now: int) -> Iterator[News]:
        """The messages, encoded as they are taken; how the session stands now goes last, unless it begins."""
        session = self._folded.session
        if self._tells_session and self._begins:
            yield of_session(session, now)
        yield from rows(session, self._events, self._metrics, self._changes)
        for problem in self._problems:
            yield of_problem(session, problem)
        if self._tells_session and not self._begins:
            yield of_session(session, now)


def _numbered(found: list[Any], count: int, wanted: bool) -> list[tuple[int, Any]]:
    return list(enumerate(found, count - len(found) + 1)) if wanted else []
