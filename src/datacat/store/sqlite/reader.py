"""Reads, each on a connection of its own from a small pool; none waits for the writer."""

import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw
from msgspec import Raw
from msgspec.structs import replace

from datacat.model.errors import StoreUnavailable, UnknownSession
from datacat.model.lifecycle import Status
from datacat.model.problems import Problem, ProblemKind
from datacat.model.session import Session
from datacat.model.state import JsonObject
from datacat.store.asked import Aggregate, Bucket, Dimension, Place, Scope, Search, Sort, Wanted, Window
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
from datacat.store.sqlite import counts, events, problems, retention, series, windows
from datacat.store.sqlite import search as searching
from datacat.store.sqlite.connect import connect_reader, errors_of
from datacat.store.sqlite.presence import Presence
from datacat.store.sqlite.rows import (
    COLUMNS,
    STATE_AT_SQL,
    STATE_SQL,
    id_bytes,
    one_integer,
    session_of,
    state_of,
    with_hyphens,
)

_SESSION: Final = f"SELECT key, {', '.join(COLUMNS)} FROM session WHERE id = ?"  # noqa: S608  # constants only
_KEY: Final = "SELECT key FROM session WHERE id = ?"
_AFTER: Final = f"SELECT key, {', '.join(COLUMNS)} FROM session WHERE key > ? ORDER BY key LIMIT ?"  # noqa: S608  # constants only
_PAGE_BYTES: Final = 4 * 1024 * 1024
"""Of states as JSON, in one page of sessions."""
_IDS_BETWEEN: Final = (
    "SELECT lower(hex(id)), product FROM session WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
)
_LAST_CHANGE: Final = "SELECT n FROM change WHERE session = ? AND time <= ? ORDER BY n DESC LIMIT 1"
_EVENTS: Final = (
    f"SELECT {windows.EVENT} "  # noqa: S608  # constants only
    "WHERE e.session = (SELECT key FROM session WHERE id = ?) AND e.n >= ? ORDER BY e.n LIMIT ?"
)
_METRICS: Final = """
    SELECT m.time, s.name, s.kind, m.value, s.unit, s.tags
    FROM metric AS m JOIN series AS s ON s.key = m.series
    WHERE m.session = (SELECT key FROM session WHERE id = ?) AND m.n >= ? ORDER BY m.n LIMIT ?
"""
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"
"""Stands for a session that went while it was looked for."""
_CHANGES: Final = "SELECT time, merge, remove FROM change WHERE session = ? AND n >= ? ORDER BY n LIMIT ?"


class SqliteReader:
    """The read side of the port; safe to call from any thread."""

    def __init__(self, path: Path, *, connections: int = 4) -> None:
        self._path = path
        # The first that is idle, always: each connection that is used fills a cache of its own.
        self._idle: queue.PriorityQueue[tuple[int, apsw.Connection | None]] = queue.PriorityQueue()
        self._connections = connections
        for number in range(connections):
            self._idle.put((number, connect_reader(path)))
        self._presence = Presence(path)

    def session(self, session_id: str) -> Session | None:
        """The session with its state, both of one moment."""
        with self._connection() as database, database:
            row = database.execute(_SESSION, (id_bytes(session_id),)).fetchone()
            changes = list(database.execute(STATE_SQL, (row[0],))) if row else []
        return session_of(row[1:], state_of(changes)) if row else None

    def sessions(self, after: str | None, limit: int) -> list[Session]:
        """A page of sessions, in the order of first storing."""
        found: list[Session] = []
        size = 0
        with self._snapshot() as database:
            start = self._key(database, after) if after else 0
            for key, *row in database.execute(_AFTER, (start, limit)):
                session = session_of(tuple(row), {})
                if session.changes:
                    changes = list(database.execute(STATE_SQL, (key,)))
                    session = replace(session, state=state_of(changes))
                found.append(session)
                size += session.state_bytes
                if size > _PAGE_BYTES:
                    break
        return found

    def events(self, session_id: str, first: int, limit: int) -> list[EventRow]:
        """A range of one session's events."""
        with self._connection() as database:
            found = windows.event_rows(database.execute(_EVENTS, (id_bytes(session_id), first, limit)))
            if not found:
                self._key(database, session_id)
            return [row for _, row in found]

    def metrics(self, session_id: str, first: int, limit: int) -> list[MetricRow]:
        """A range of one session's metrics."""
        with self._connection() as database:
            found = [
                MetricRow(time, name, kind, value, unit or None, Raw(tags))
                for time, name, kind, value, unit, tags in database.execute(
                    _METRICS, (id_bytes(session_id), first, limit)
                )
            ]
            if not found:
                self._key(database, session_id)
            return found

    def event_window(
        self, session_id: str, window: Window, wanted: Wanted, limit: int
    ) -> list[tuple[int, EventRow]]:
        """Events of one session, as far as they are wanted."""
        with self._connection() as database:
            return windows.events(database, self._key(database, session_id), window, wanted, limit)

    def metric_window(
        self, session_id: str, window: Window, wanted: Wanted, limit: int
    ) -> list[tuple[int, MetricRow]]:
        """Metrics of one session, as far as they are wanted."""
        with self._connection() as database:
            return windows.metrics(database, self._key(database, session_id), window, wanted, limit)

    def changes(self, session_id: str, first: int, limit: int) -> list[ChangeRow]:
        """A range of one session's changes of state."""
        with self._connection() as database:
            key = self._key(database, session_id)
            return [
                ChangeRow(time, Raw(merge), Raw(remove or "[]"))
                for time, merge, remove in database.execute(_CHANGES, (key, first, limit))
            ]

    def state_at(self, session_id: str, time: int) -> JsonObject:
        """The state as the changes made up to ``time`` left it; walks back from the last change."""
        with self._connection() as database, database:
            key = self._key(database, session_id)
            last = one_integer(database, _LAST_CHANGE, (key, time))
            changes = [] if last is None else list(database.execute(STATE_AT_SQL, (key, last)))
        return state_of(changes)

    def ids_with_prefix(self, prefix: str, limit: int) -> list[Identity]:
        """A range of the ids' index."""
        bounds = [bytes.fromhex(prefix.ljust(32, digit)) for digit in "0f"]
        with self._connection() as database:
            rows = database.execute(_IDS_BETWEEN, (*bounds, limit))
            return [Identity(with_hyphens(digits), product) for digits, product in rows]

    def problems_of(self, session_id: str, *, evidence: bool) -> list[Problem]:
        """One session's problems."""
        with self._connection() as database:
            return problems.problems_of(database, self._key(database, session_id), evidence=evidence)

    def problems(self, kind: ProblemKind | None, scope: Scope, limit: int) -> list[ListedProblem]:
        """The newest problems."""
        with self._connection() as database:
            return problems.newest(database, kind, scope, limit)

    def problem_counts(self, kind: ProblemKind, scope: Scope) -> list[ProblemCount]:
        """Problems counted by fingerprint, product and version."""
        with self._connection() as database:
            return problems.counts(database, kind, scope)

    def session_counts(
        self, scope: Scope, bucket: Bucket | None, by: frozenset[Dimension], limit: int
    ) -> list[SessionCount]:
        """Sessions counted by bucket and dimensions."""
        with self._connection() as database:
            return counts.session_counts(database, scope, bucket, by, limit)

    def deployments(self, scope: Scope) -> list[Deployment]:
        """What programs are called."""
        with self._connection() as database:
            return [deployment for _, deployment in counts.deployments(database, scope)]

    def newest_sessions(
        self, scope: Scope, statuses: frozenset[Status], limit: int, before: Place | None = None
    ) -> list[Session]:
        """The sessions that began last."""
        with self._snapshot() as database:
            behind = None
            if before is not None:
                behind = self._place(database, before, "newest")
            return counts.newest(database, scope, statuses, limit, behind)

    def search(self, search: Search, limit: int, behind: Place | None = None) -> Found:
        """The first sessions that are wanted."""
        if search.is_plain:
            found = self.newest_sessions(search.scope, search.statuses, limit + 1, behind)
            last = found[limit - 1] if len(found) > limit else None
            return Found(found[:limit], Place(last.created_at, last.id) if last else None)
        with self._snapshot() as database:
            place = self._place(database, behind, search.sort) if behind else None
            sessions, more = searching.find(database, search, limit, place)
            return Found(sessions, Place(more[0], _id_of(database, more[1])) if more else None)

    def metric_names(self, limit: int) -> list[str]:
        """The metrics' names."""
        with self._connection() as database:
            return series.names(database, limit)

    def event_names(self, limit: int) -> list[str]:
        """The events' names."""
        with self._connection() as database:
            return events.names(database, limit)

    def metric_over_all(
        self, name: str, scope: Scope, width: int, aggregate: Aggregate, most_series: int
    ) -> list[SeriesPoint]:
        """A metric over all sessions."""
        with self._snapshot() as database:
            return series.over_all(database, name, scope, width, aggregate, most_series)

    def metric_of_session(
        self,
        session_id: str,
        name: str | None,
        scope: Scope,
        aggregate: Aggregate,
        most_points: int,
    ) -> list[SeriesPoint]:
        """One session's metrics."""
        with self._snapshot() as database:
            key = self._key(database, session_id)
            return series.of_session(database, key, name, scope, aggregate, most_points)

    def metric_extremes(
        self, session_id: str, name: str | None, scope: Scope, spans: int, most_points: int
    ) -> list[SeriesPoint]:
        """One session's lowest and highest points."""
        with self._snapshot() as database:
            key = self._key(database, session_id)
            return series.extremes(database, key, name, scope, spans, most_points)

    def newest_events(
        self, scope: Scope, session_id: str | None, names: frozenset[str], least_level: str, limit: int
    ) -> list[TimedEvent]:
        """The events that came last."""
        with self._snapshot() as database:
            if session_id is not None:
                key = self._key(database, session_id)
                return events.of_session(database, key, scope, names, least_level, limit)
            return events.of_all(database, scope, names, least_level, limit)

    def overdue(self, now: int, listening_since: int, limit: int) -> list[Overdue]:
        """The sessions that broke their promise."""
        with self._connection() as database:
            return problems.overdue(database, now, listening_since, limit)

    def expired(self, product: str | None, before: int, now: int, limit: int) -> list[str]:
        """Sessions nobody has heard of for long."""
        with self._connection() as database:
            return retention.expired(database, product, before, now, limit)

    def oldest_finished(self, limit: int) -> list[str]:
        """The oldest sessions that no longer run."""
        with self._connection() as database:
            return retention.oldest_finished(database, limit)

    def size(self) -> Size:
        """What the database takes."""
        with self._connection() as database:
            return retention.size(database, self._path)

    def ahead(self, now: int, limit: int) -> list[Overdue]:
        """The sessions that were heard of before the clock was set back."""
        with self._connection() as database:
            return problems.ahead(database, now, limit)

    def ready(self) -> None:
        """Ask the database the smallest question, and whether its files are still those at its path."""
        self._presence.check()
        with self._connection() as database:
            database.execute("SELECT 1 FROM session LIMIT 1").fetchone()

    def close(self) -> None:
        """Close every connection; whoever still reads finishes first, and whoever comes later is refused."""
        for _ in range(self._connections):
            _, connection = self._idle.get(timeout=10)
            if connection is not None:
                connection.close()
        self._idle.put((0, None))

    @contextmanager
    def _connection(self) -> Iterator[apsw.Connection]:
        number, connection = self._idle.get()
        try:
            if connection is None:
                raise StoreUnavailable(f"the database {self._path} is closed: the service is stopping")
            with errors_of(self._path):
                yield connection
        finally:
            self._idle.put((number, connection))

    @contextmanager
    def _snapshot(self) -> Iterator[apsw.Connection]:
        """A connection for questions that must see one moment."""
        with self._connection() as database, database:
            yield database

    def _place(self, database: apsw.Connection, place: Place, sort: Sort) -> tuple[int, int]:
        """A session that is gone stands behind all that have its value."""
        key = one_integer(database, _KEY, (id_bytes(place.session_id),))
        if key is None:
            key = sys.maxsize if sort == "oldest" else 0
        return place.value, key

    def _key(self, database: apsw.Connection, session_id: str) -> int:
        key = one_integer(database, _KEY, (id_bytes(session_id),))
        if key is None:
            raise UnknownSession(session_id)
        return key


def _id_of(database: apsw.Connection, key: int) -> str:
    row = database.execute("SELECT lower(hex(id)) FROM session WHERE key = ?", (key,)).fetchone()
    return with_hyphens(row[0]) if row else _NOBODY
