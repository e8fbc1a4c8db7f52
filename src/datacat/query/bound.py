"""What a key that is bound to one product sees of the store: that product, wherever it looks.

Handlers are given this in the store's place, so none of them can forget to ask. What belongs to
another product is not there; what cannot be told apart by product is refused.
"""

from typing import Final

from msgspec.structs import replace

from datacat.model.errors import KeyForbids, UnknownSession, ambiguous_id
from datacat.model.lifecycle import Status
from datacat.model.problems import Problem, ProblemKind
from datacat.model.session import Session
from datacat.model.state import JsonObject
from datacat.store.asked import Aggregate, Bucket, Dimension, Place, Scope, Search, Wanted, Window
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
from datacat.store.port import Reader

_LOOKED_AT: Final = 1_000
"""Sessions of all products among which those whose ids begin so are looked for."""


class BoundReader:
    """One product of a store; every method as in :class:`datacat.store.port.Reader`.

    Raises:
        KeyForbids: another product is asked for by name, or what is of all products.
    """

    def __init__(self, reader: Reader, product: str) -> None:
        self._reader = reader
        self._product = product

    def session(self, session_id: str) -> Session | None:
        """None where it is of another product, too."""
        session = self._reader.session(session_id)
        return session if session is not None and session.product == self._product else None

    def sessions(self, after: str | None, limit: int) -> list[Session]:
        """Pages that have none of the product are passed over."""
        while page := self._reader.sessions(after, limit):
            if ours := [session for session in page if session.product == self._product]:
                return ours
            after = page[-1].id
        return []

    def events(self, session_id: str, first: int, limit: int) -> list[EventRow]:
        """Of a session of the product."""
        return self._reader.events(self._ours(session_id), first, limit)

    def metrics(self, session_id: str, first: int, limit: int) -> list[MetricRow]:
        """Of a session of the product."""
        return self._reader.metrics(self._ours(session_id), first, limit)

    def event_window(
        self, session_id: str, window: Window, wanted: Wanted, limit: int
    ) -> list[tuple[int, EventRow]]:
        """Of a session of the product."""
        return self._reader.event_window(self._ours(session_id), window, wanted, limit)

    def metric_window(
        self, session_id: str, window: Window, wanted: Wanted, limit: int
    ) -> list[tuple[int, MetricRow]]:
        """Of a session of the product."""
        return self._reader.metric_window(self._ours(session_id), window, wanted, limit)

    def changes(self, session_id: str, first: int, limit: int) -> list[ChangeRow]:
        """Of a session of the product."""
        return self._reader.changes(self._ours(session_id), first, limit)

    def state_at(self, session_id: str, time: int) -> JsonObject:
        """Of a session of the product."""
        return self._reader.state_at(self._ours(session_id), time)

    def ids_with_prefix(self, prefix: str, limit: int) -> list[Identity]:
        """Those of the product; where very many begin so, it cannot be known which they are.

        Raises:
            InvalidInput: code ``ambiguous_id``.
        """
        found = self._reader.ids_with_prefix(prefix, _LOOKED_AT)
        ours = [each for each in found if each.product == self._product][:limit]
        if len(found) == _LOOKED_AT and len(ours) < limit:
            raise ambiguous_id(prefix, f"very many sessions begin with {prefix}")
        return ours

    def problems_of(self, session_id: str, *, evidence: bool) -> list[Problem]:
        """Of a session of the product."""
        return self._reader.problems_of(self._ours(session_id), evidence=evidence)

    def problems(self, kind: ProblemKind | None, scope: Scope, limit: int) -> list[ListedProblem]:
        """Of the product."""
        return self._reader.problems(kind, self._within(scope), limit)

    def problem_counts(self, kind: ProblemKind, scope: Scope) -> list[ProblemCount]:
        """Of the product."""
        return self._reader.problem_counts(kind, self._within(scope))

    def session_counts(
        self, scope: Scope, bucket: Bucket | None, by: frozenset[Dimension], limit: int
    ) -> list[SessionCount]:
        """Of the product."""
        return self._reader.session_counts(self._within(scope), bucket, by, limit)

    def deployments(self, scope: Scope) -> list[Deployment]:
        """Of the product."""
        return self._reader.deployments(self._within(scope))

    def newest_sessions(
        self, scope: Scope, statuses: frozenset[Status], limit: int, before: Place | None = None
    ) -> list[Session]:
        """Of the product."""
        return self._reader.newest_sessions(self._within(scope), statuses, limit, before)

    def search(self, search: Search, limit: int, behind: Place | None = None) -> Found:
        """Of the product."""
        return self._reader.search(replace(search, scope=self._within(search.scope)), limit, behind)

    def metric_names(self, limit: int) -> list[str]:  # noqa: ARG002  # the port's
        """Refused: names are not kept by product."""
        raise self._of_all("the names of metrics")

    def event_names(self, limit: int) -> list[str]:  # noqa: ARG002  # the port's
        """Refused: names are not kept by product."""
        raise self._of_all("the names of events")

    def metric_over_all(
        self, name: str, scope: Scope, width: int, aggregate: Aggregate, most_series: int
    ) -> list[SeriesPoint]:
        """Of the product."""
        return self._reader.metric_over_all(name, self._within(scope), width, aggregate, most_series)

    def metric_of_session(
        self,
        session_id: str,
        name: str | None,
        scope: Scope,
        aggregate: Aggregate,
        most_points: int,
    ) -> list[SeriesPoint]:
        """Of a session of the product."""
        of = self._ours(session_id)
        return self._reader.metric_of_session(of, name, self._within(scope), aggregate, most_points)

    def metric_extremes(
        self, session_id: str, name: str | None, scope: Scope, spans: int, most_points: int
    ) -> list[SeriesPoint]:
        """Of a session of the product."""
        return self._reader.metric_extremes(
            self._ours(session_id), name, self._within(scope), spans, most_points
        )

    def newest_events(
        self, scope: Scope, session_id: str | None, names: frozenset[str], least_level: str, limit: int
    ) -> list[TimedEvent]:
        """Of the product."""
        of = None if session_id is None else self._ours(session_id)
        return self._reader.newest_events(self._within(scope), of, names, least_level, limit)

    def overdue(self, now: int, listening_since: int, limit: int) -> list[Overdue]:  # noqa: ARG002  # the port's
        """Refused: only the service itself asks."""
        raise self._of_all("who is overdue")

    def ahead(self, now: int, limit: int) -> list[Overdue]:  # noqa: ARG002  # the port's
        """Refused: only the service itself asks."""
        raise self._of_all("who was heard of ahead of time")

    def expired(self, product: str | None, before: int, now: int, limit: int) -> list[str]:  # noqa: ARG002  # the port's
        """Refused: only the service itself asks."""
        raise self._of_all("what may go")

    def oldest_finished(self, limit: int) -> list[str]:  # noqa: ARG002  # the port's
        """Refused: only the service itself asks."""
        raise self._of_all("what may go")

    def size(self) -> Size:
        """The same for all."""
        return self._reader.size()

    def ready(self) -> None:
        """The same for all."""
        self._reader.ready()

    def close(self) -> None:
        """The store is not ours to close."""

    def _within(self, scope: Scope) -> Scope:
        if scope.product not in (None, self._product):
            raise KeyForbids.of_product(scope.product, self._product)
        return replace(scope, product=self._product)

    def _ours(self, session_id: str) -> str:
        if self.session(session_id) is None:
            raise UnknownSession(session_id)
        return session_id

    def _of_all(self, what: str) -> KeyForbids:
        return KeyForbids(
            f"{what} are of all products, and this key is for {self._product!r} alone: use a key without a product"
        )
