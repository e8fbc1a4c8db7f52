"""What a store answers with."""

from typing import Final, NamedTuple

from msgspec import Raw, Struct

from datacat.model.problems import Problem
from datacat.model.session import Session
from datacat.store.asked import Place, Reason


class Identity(NamedTuple):
    """A session's id, and the product that it is of."""

    id: str
    product: str | None


class EventRow(Struct, frozen=True, gc=False):
    """One stored event."""

    time: int
    name: str
    level: str
    message: str | None
    data: Raw

    @property
    def weight(self) -> int:
        """Roughly, in bytes."""
        return len(memoryview(self.data)) + len(self.message or "")


PAGE_BYTES: Final = 4 * 1024 * 1024
"""Events of so many bytes are a page, however few they are: one may weigh a megabyte."""


class MetricRow(Struct, frozen=True, gc=False):
    """One stored metric; ``tags`` is a JSON array of text."""

    time: int
    name: str
    kind: str
    value: float
    unit: str | None
    tags: Raw


class ChangeRow(Struct, frozen=True, gc=False):
    """One stored change of state: ``merge`` is a JSON object, ``remove`` a JSON array of JSON Pointers."""

    time: int
    merge: Raw
    remove: Raw


class Found(Struct, frozen=True):
    """Sessions without their states, and the place behind which to go on; None at the end.

    There may be fewer than were asked for, even none, and more behind them: a search looks at a bounded number.
    """

    sessions: list[Session]
    next: Place | None


class ListedProblem(Struct, frozen=True):
    """A problem among those of other sessions; ``key`` grows with each that is heard of."""

    key: int
    session_id: str
    product: str | None
    version: str | None
    environment: str | None
    problem: Problem


class ProblemCount(Struct, frozen=True):
    """A fingerprint in one version of one product; title and sample session are those of the latest."""

    fingerprint: str
    product: str | None
    version: str | None
    count: int
    sessions: int
    first_seen: int
    last_seen: int
    title: str
    sample: str


class Deployment(Struct, frozen=True):
    """What a program is called in all, and when anything of it last came: to the second, in microseconds."""

    product: str | None
    version: str | None
    environment: str | None
    last_seen: int


class SessionCount(Struct, frozen=True):
    """What became of the sessions that began in a bucket; a dimension not asked for is None.

    ``hung`` counts those that hung at any time, ``active`` and ``hung_now`` those that stand so now.
    """

    bucket: int | None
    product: str | None
    version: str | None
    environment: str | None
    sessions: int
    active: int
    hung_now: int
    ended: int
    crashed: int
    lost: int
    hung: int
    hang_seconds: float
    seconds: float


class SeriesPoint(Struct, frozen=True, gc=False):
    """One value of a series; ``tags`` is a JSON array of text, ``time`` where its span of time begins."""

    time: int
    name: str
    kind: str
    unit: str | None
    tags: Raw
    value: float


class TimedEvent(Struct, frozen=True, gc=False):
    """An event among those of many sessions."""

    session_id: str
    product: str | None
    version: str | None
    event: EventRow


class Overdue(Struct, frozen=True):
    """A session that has been silent for longer than it promised; ``last_seq`` is the server's own."""

    session_id: str
    updated_at: int
    contact_timeout: float
    last_seq: int


class Size(Struct, frozen=True):
    """What the database takes, in bytes; ``file`` with what it holds free, ``log`` beside it.

    ``removed`` counts the sessions that are gone whose rows are not yet, ``removals`` those that went, by reason.
    """

    file: int
    used: int
    log: int
    removed: int
    removals: dict[Reason, int]
