"""What a store is asked for: scopes, windows, searches."""

from typing import Any, Literal

from msgspec import Struct

from datacat.model.lifecycle import Status
from datacat.model.limits import MAX_TIME

Bucket = Literal["hour", "day", "week"]
Dimension = Literal["product", "version", "environment"]
Reason = Literal["asked", "age", "size"]
"""Why a session was removed."""
Durability = Literal["full", "normal"]
"""What a commit survives: a power cut, or a killed process."""
Aggregate = Literal["avg", "min", "max", "sum", "count", "last"]
"""What one value is made of those within a span of time."""


class Scope(Struct, frozen=True, kw_only=True):
    """Which sessions, and which time: from ``since`` on, before ``until``; None asks for all."""

    product: str | None = None
    version: str | None = None
    environment: str | None = None
    since: int | None = None
    until: int | None = None

    @property
    def span(self) -> tuple[int, int]:
        """The first moment, and the first that no longer belongs to it."""
        return self.since or 0, MAX_TIME + 1 if self.until is None else self.until

    @property
    def names_nothing(self) -> bool:
        """Whether it is of all sessions, at least of those in its time."""
        return self.product is None and self.version is None and self.environment is None


class Window(Struct, frozen=True):
    """Which rows of a session are looked at: numbered from ``first`` on, before ``until``, from 0."""

    first: int
    until: int
    newest_first: bool = False


class Wanted(Struct, frozen=True, kw_only=True):
    """What is wanted of the rows looked at; what is None or empty asks for all.

    ``least_level`` is an event's, ``tags`` are a metric's, and all of them must be there.
    """

    names: frozenset[str] = frozenset()
    since: int | None = None
    until: int | None = None
    least_level: str = "debug"
    tags: frozenset[str] = frozenset()


Sort = Literal["newest", "oldest", "ended", "longest", "hung"]
"""In which order sessions are listed: the one that began last first, or first; and of those that have ended the one that
did so last, or lasted longest; and of those that hung the one that did so longest."""


class Place(Struct, frozen=True):
    """A session's place in an order: what they are ordered by, in microseconds, and the session there."""

    value: int
    session_id: str


class Search(Struct, frozen=True, kw_only=True):
    """Which sessions are wanted: all of it must be so; what is None or empty asks for all.

    ``tags`` the session has, ``events`` happened in it, ``words`` are in its names and messages; ``state`` has at each of
    these paths one of these values.
    """

    scope: Scope = Scope()
    statuses: frozenset[Status] = frozenset()
    hostname: str | None = None
    tags: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    state: tuple[tuple[tuple[str, ...], tuple[Any, ...]], ...] = ()
    sort: Sort = "newest"

    @property
    def is_plain(self) -> bool:
        """Whether it asks for no more than a scope and statuses, newest first."""
        return self.sort == "newest" and not (
            self.hostname or self.tags or self.events or self.words or self.state
        )
