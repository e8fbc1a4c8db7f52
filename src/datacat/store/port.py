"""What a database must be able to do for us, and no more.

The writer side belongs to one thread and is driven by :mod:`datacat.ingest.committer`; the reader
side is called from any thread and never waits for the writer. Every store runs the same contract
suite, in ``tests/contract``.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from datacat.model.fold import Folded
from datacat.model.lifecycle import Status
from datacat.model.problems import Problem, ProblemKind
from datacat.model.session import Session
from datacat.model.state import JsonObject
from datacat.store.asked import Aggregate, Bucket, Dimension, Place, Reason, Scope, Search, Wanted, Window
from datacat.store.found import (
    ChangeRow,
    Deployment,
    EventRow,
    Found,
    Identity,
    ListedProblem,
    MetricRow,
    Overdue,
    ProblemCount,
    SeriesPoint,
    SessionCount,
    Size,
    TimedEvent,
)


class Transaction(Protocol):
    """What one commit may do."""

    def load(self, session_id: str) -> Session | None:
        """The session as it is, with its state; None when there is none."""
        ...

    def save(self, folds: Iterable[Folded]) -> None:
        """Keep the sessions and add the rows; folds of one session come in their order."""
        ...

    def remove(self, session_id: str, reason: Reason, now: int) -> bool:
        """Take a session away, out of sight at once; whether there was one."""
        ...


class Writer(Protocol):
    """The one writer."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """All or nothing: leaving it normally has made everything durable.

        Raises:
            StoreUnavailable: the disk is full, the database locked; nothing of it was kept.
            StoreError: anything else that the database refuses; nothing of it was kept.
        """
        ...

    def sweep(self, rows: int) -> int:
        """Take away up to so many rows of what was removed, in a commit of its own; 0 when nothing is left to do."""
        ...

    def give_back(self, pages: int) -> int:
        """Give up to so many free pages back to the disk; how many, 0 when there are none or it cannot."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class Reader(Protocol):
    """Reads, each a short one; what is given is as of the last commit."""

    def session(self, session_id: str) -> Session | None:
        """The session with its state; None when there is none."""
        ...

    def sessions(self, after: str | None, limit: int) -> list[Session]:
        """Sessions with their states in the order in which they were first stored, after that of the id ``after``.

        There may be fewer than ``limit`` because states are large; there are none only at the end.
        """
        ...

    def events(self, session_id: str, first: int, limit: int) -> list[EventRow]:
        """The events numbered ``first`` and up, oldest first; fewer than ``limit`` where they weigh :data:`PAGE_BYTES`."""
        ...

    def metrics(self, session_id: str, first: int, limit: int) -> list[MetricRow]:
        """The metrics numbered ``first`` and up, oldest first."""
        ...

    def event_window(
        self, session_id: str, window: Window, wanted: Wanted, limit: int
    ) -> list[tuple[int, EventRow]]:
        """The first events in the window that are wanted, with their numbers, in the window's order.

        Fewer than ``limit`` where they weigh :data:`PAGE_BYTES`.
        """
        ...

    def metric_window(
        self, session_id: str, window: Window, wanted: Wanted, limit: int
    ) -> list[tuple[int, MetricRow]]:
        """The same of the metrics."""
        ...

    def changes(self, session_id: str, first: int, limit: int) -> list[ChangeRow]:
        """The changes of state numbered ``first`` and up, from 0, in the order in which they were made."""
        ...

    def state_at(self, session_id: str, time: int) -> JsonObject:
        """The state as the changes made up to ``time`` left it."""
        ...

    def ids_with_prefix(self, prefix: str, limit: int) -> list[Identity]:
        """Sessions whose ids begin with ``prefix``, hexadecimal digits without hyphens, in the ids' order."""
        ...

    def problems_of(self, session_id: str, *, evidence: bool) -> list[Problem]:
        """A session's problems in the order in which they were heard of."""
        ...

    def problems(self, kind: ProblemKind | None, scope: Scope, limit: int) -> list[ListedProblem]:
        """Problems that began in the scope's time, without evidence, newest first.

        In a time asked for, the one that began last is first; in all time, the one heard of last, so
        that what is new since the last question stands in front.
        """
        ...

    def problem_counts(self, kind: ProblemKind, scope: Scope) -> list[ProblemCount]:
        """How often each fingerprint began in the scope's time, in each version of each product."""
        ...

    def session_counts(
        self, scope: Scope, bucket: Bucket | None, by: frozenset[Dimension], limit: int
    ) -> list[SessionCount]:
        """What became of the sessions that began in the scope's time, by bucket and dimensions, in order."""
        ...

    def deployments(self, scope: Scope) -> list[Deployment]:
        """Which there are, in the order in which they were first seen; the scope's time does not matter."""
        ...

    def newest_sessions(
        self, scope: Scope, statuses: frozenset[Status], limit: int, before: Place | None = None
    ) -> list[Session]:
        """The sessions of these statuses (none: of all) that began last in the scope's time, without states.

        With a place, only those behind it: the ones that began before, or at once and were stored earlier.
        """
        ...

    def search(self, search: Search, limit: int, behind: Place | None = None) -> Found:
        """The first sessions that are wanted, in the order asked for; with a place, those behind it."""
        ...

    def metric_names(self, limit: int) -> list[str]:
        """The metrics' names, in order."""
        ...

    def event_names(self, limit: int) -> list[str]:
        """The events' names, in order."""
        ...

    def metric_over_all(
        self, name: str, scope: Scope, width: int, aggregate: Aggregate, most_series: int
    ) -> list[SeriesPoint]:
        """A metric over all sessions, by time, a point for each span in which there was one.

        Args:
            name: the metric's.
            scope: which sessions, and which time, which begins with the span that it begins in.
            width: of a span, in microseconds; what is answered may be as wide as the store's own spans.
            aggregate: what a value is.
            most_series: how many series, by their tags, are answered.
        """
        ...

    def metric_of_session(
        self,
        session_id: str,
        name: str | None,
        scope: Scope,
        aggregate: Aggregate,
        most_points: int,
    ) -> list[SeriesPoint]:
        """One session's points in the scope's time, by time, of each the value.

        Of a series that has more than ``most_points`` there, a point for each of so many spans in which there was one:
        they divide the time from its first point to its last, and a point is dated at its span's beginning.
        """
        ...

    def metric_extremes(
        self, session_id: str, name: str | None, scope: Scope, spans: int, most_points: int
    ) -> list[SeriesPoint]:
        """One session's metrics by time; of a series of more than ``most_points``, those at the ends of each of its spans.

        It has so many spans as above: of each the lowest and the highest point, and of the series the first and the
        last, each at its own time.
        """
        ...

    def newest_events(
        self, scope: Scope, session_id: str | None, names: frozenset[str], least_level: str, limit: int
    ) -> list[TimedEvent]:
        """The events in the scope's time of any of these names (none: of all), from ``least_level`` up, newest first.

        Of one session they are those that came last, whatever their times.
        """
        ...

    def overdue(self, now: int, listening_since: int, limit: int) -> list[Overdue]:
        """Running sessions, silent at ``now`` for longer than promised though somebody listened so long."""
        ...

    def expired(self, product: str | None, before: int, now: int, limit: int) -> list[str]:
        """Ids of sessions of this product (None: of none) that were last heard of before this moment, and began before it.

        Or that begin after ``now``, as their clock was ahead.
        """
        ...

    def oldest_finished(self, limit: int) -> list[str]:
        """Ids of sessions that no longer run, the one that began first in front."""
        ...

    def size(self) -> Size:
        """What the database takes."""
        ...

    def ahead(self, now: int, limit: int) -> list[Overdue]:
        """Running sessions that promised contact and were last heard of well after ``now``, the shortest promise first."""
        ...

    def ready(self) -> None:
        """Return if the database answers.

        Raises:
            StoreError: it does not.
        """
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
