"""A store in ten lines: what every other store must do, and the oracle of the state machine."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from msgspec import Raw

from datacat.model.errors import UnknownSession
from datacat.model.fold import Folded
from datacat.model.records import Event, Metric
from datacat.model.session import Session
from datacat.store.port import EventRow, MetricRow
from datacat.wire.codec import encode


class ModelStore:
    """Writer and reader at once."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.rows: dict[str, tuple[list[Event], list[Metric]]] = {}

    @contextmanager
    def transaction(self) -> Iterator["ModelStore"]:
        before = dict(self.sessions), {key: (list(e), list(m)) for key, (e, m) in self.rows.items()}
        try:
            yield self
        except BaseException:
            self.sessions, self.rows = before
            raise

    def load(self, session_id: str) -> Session | None:
        return self.sessions.get(session_id)

    session = load

    def save(self, folds: Iterable[Folded]) -> None:
        for fold in folds:
            self.sessions[fold.session.id] = fold.session
            events, metrics = self.rows.setdefault(fold.session.id, ([], []))
            events += fold.events
            metrics += fold.metrics

    def session_ids(self, after: str | None, limit: int) -> list[str]:
        ids = list(self.sessions)
        first = ids.index(after) + 1 if after else 0
        return ids[first : first + limit]

    def events(self, session_id: str, first: int, limit: int) -> list[EventRow]:
        rows = self._rows(session_id)[0][first : first + limit]
        return [EventRow(e.time, e.name, e.level, e.message, Raw(bytes(e.data) or b"{}")) for e in rows]

    def metrics(self, session_id: str, first: int, limit: int) -> list[MetricRow]:
        rows = self._rows(session_id)[1][first : first + limit]
        return [MetricRow(m.time, m.name, m.kind, m.value, m.unit, Raw(encode(m.tags))) for m in rows]

    def _rows(self, session_id: str) -> tuple[list[Event], list[Metric]]:
        if session_id not in self.sessions:
            raise UnknownSession(session_id)
        return self.rows[session_id]

    def ready(self) -> None: ...

    def close(self) -> None: ...
