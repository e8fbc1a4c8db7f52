"""The one writer of the database file.

Sessions just written are kept, so that a busy session is not read back for each commit; what a
failed transaction touched is forgotten again, and everything when another process has written.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from datacat.model.fold import Folded
from datacat.model.session import Session
from datacat.store.asked import Durability
from datacat.store.sqlite import bulk, removal, terms
from datacat.store.sqlite.connect import connect, errors_of
from datacat.store.sqlite.presence import Presence
from datacat.store.sqlite.problems import UPSERT_PROBLEM, problem_row
from datacat.store.sqlite.rows import (
    BUSY_COLUMNS,
    COLUMNS,
    LEVELS,
    STATE_SQL,
    Row,
    busy_row_of,
    id_bytes,
    json_text,
    one_integer,
    row_of,
    session_of,
    state_of,
)
from datacat.store.sqlite.sums import Sums

_SESSIONS_KEPT: Final = 2_000
_STATE_BYTES_KEPT: Final = 16 * 1024 * 1024
"""States of the sessions kept, as JSON; as Python's objects they weigh several times as much."""

_INCREMENTAL: Final = 2
"""What the pragma ``auto_vacuum`` answers where pages can be given back one by one."""

_NAMES_KEPT: Final = 100_000

_LEVEL_NUMBERS: Final = {level: number for number, level in enumerate(LEVELS)}

_SESSION_BY_ID: Final = f"SELECT key, deployment, {', '.join(COLUMNS)} FROM session WHERE id = ?"  # noqa: S608  # constants only
# A key that is free again while rows under it are still to be taken away must not be given to another.
_NEXT_KEY: Final = (
    "1 + max(ifnull((SELECT max(key) FROM session), 0), ifnull((SELECT max(key) FROM removed), 0))"
)
_UPSERT_SESSION: Final = (
    f"INSERT INTO session (key, {', '.join(COLUMNS)}, deployment) "  # noqa: S608  # constants only
    f"VALUES ({_NEXT_KEY}, {', '.join('?' * (len(COLUMNS) + 1))}) "
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in COLUMNS[2:])}, "
    "deployment = excluded.deployment RETURNING key"
)
_QUIET: Final = attrgetter(*(column for column in COLUMNS if column not in BUSY_COLUMNS))


class _Kept(NamedTuple):
    """A session as it was last written."""

    key: int
    deployment: int
    session: Session


_Deployment = tuple[str | None, str | None, str | None]
"""A product, a version and an environment."""

_FIND_DEPLOYMENT: Final = """
    SELECT key FROM deployment
    WHERE ifnull(product, 0) = ifnull(?, 0) AND ifnull(version, 0) = ifnull(?, 0)
      AND ifnull(environment, 0) = ifnull(?, 0)
"""
_ADD_DEPLOYMENT: Final = (
    "INSERT INTO deployment (product, version, environment) VALUES (?, ?, ?) RETURNING key"
)

_SEEN: Final = "UPDATE deployment SET last_seen = max(last_seen, ?) WHERE key = ?"
_SECOND: Final = 1_000_000

_Series = tuple[str | None, ...]
"""A metric's name, kind and unit, then its tags."""

_Known = TypeVar("_Known")


class _Keys(dict[_Known, int]):
    """Keys that are known, and a way to find those that are not."""

    def __init__(self, find: Callable[[_Known], int]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, known: _Known) -> int:
        key = self[known] = self._find(known)
        return key


class SqliteWriter:
    """The write side of the port; belongs to the thread that uses it first."""

    def __init__(self, path: Path, *, durability: Durability = "full") -> None:
        self._path = path
        self._database = connect(path, durability=durability)
        self._presence = Presence(path)
        self._version = self._database.pragma("data_version")
        self._sessions: OrderedDict[str, _Kept] = OrderedDict()
        self._state_bytes = 0
        self._names = _Keys(self._name_key)
        self._series = _Keys(self._series_key)
        self._deployments = _Keys(self._deployment_key)
        self._seen: dict[int, int] = {}
        self._terms = terms.Terms()

    @contextmanager
    def transaction(self) -> Iterator["SqliteWriter"]:
        """All or nothing; see :class:`datacat.store.port.Writer`."""
        with errors_of(self._path):
            try:
                self._presence.check()
                self._database.execute("BEGIN IMMEDIATE")
                self._notice_others()
                yield self
                self._database.execute("COMMIT")
                self._presence.check()
            except BaseException:
                self._forget()
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise
        self._trim()

    def load(self, session_id: str) -> Session | None:
        """The session as this transaction sees it."""
        if kept := self._sessions.get(session_id):
            self._sessions.move_to_end(session_id)
            return kept.session
        row = self._database.execute(_SESSION_BY_ID, (id_bytes(session_id),)).get
        if row is None:
            return None
        key, deployment, *values = row
        session = session_of(tuple(values), state_of(list(self._database.execute(STATE_SQL, (key,)))))
        self._keep(_Kept(key, deployment, session))
        return session

    def save(self, folds: Iterable[Folded]) -> None:
        """Keep the sessions, and add the rows sorted by session and number."""
        by_session: dict[str, list[Folded]] = {}
        for fold in folds:
            by_session.setdefault(fold.session.id, []).append(fold)
        sums = Sums()
        found_by: list[Row] = []
        sessions = [of_one[-1].session for of_one in by_session.values()]
        kept = sorted(self._save_sessions(sessions, sums, found_by))
        in_order = [(each, fold) for each in kept for fold in by_session[each.session.id]]
        database = self._database
        events = [row for each, fold in in_order if fold.events for row in self._event_rows(each.key, fold)]
        bulk.insert(database, "event", 7, events)
        points: list[Row] = []
        for each, fold in in_order:
            if fold.metrics:
                rows = self._metric_rows(each.key, fold)
                sums.add_points(each.deployment, rows)
                points += rows
        bulk.insert(database, "metric", 5, points)
        changes = [row for each, fold in in_order if fold.changes for row in _change_rows(each.key, fold)]
        bulk.insert(database, "change", 6, changes)
        for each, fold in in_order:
            for problem in fold.problems:
                database.execute(UPSERT_PROBLEM, problem_row(each.key, problem))
        for each, fold in in_order:
            if fold.events:
                found_by += self._terms.of_events(each.key, fold)
        bulk.insert(database, "term", terms.COLUMNS, sorted(found_by), terms.ALREADY_THERE)
        sums.write(database)
        self._see(kept)

    def remove(self, session_id: str, reason: str, now: int) -> bool:
        """Out of sight at once; see :mod:`datacat.store.sqlite.removal`."""
        if self.load(session_id) is None:
            return False
        kept = self._sessions.pop(session_id)
        self._state_bytes -= kept.session.state_bytes
        self._terms.forget()  # another session may be given this one's key later
        removal.remove(self._database, kept.session, kept.key, kept.deployment, reason, now)
        return True

    def sweep(self, rows: int) -> int:
        """A step of taking away what was removed."""
        with self.transaction():
            taken, names = removal.sweep(self._database, rows)
            if names:
                self._names.clear()
                self._series.clear()
        return taken

    def give_back(self, pages: int) -> int:
        """Where the file was made so that it can shrink: from its end, which a checkpoint then cuts off."""
        with errors_of(self._path):
            free: int = self._database.pragma("freelist_count")
            if not free or self._database.pragma("auto_vacuum") != _INCREMENTAL:
                return 0
            list(self._database.execute(f"PRAGMA incremental_vacuum({pages})"))
        return min(pages, free)

    def close(self) -> None:
        """Let go of the database; the write-ahead log is folded into the file."""
        self._database.close()

    def _save_sessions(self, sessions: list[Session], sums: Sums, found_by: list[Row]) -> list[_Kept]:
        kept: list[_Kept] = []
        busy: list[Row] = []
        for session in sessions:
            before = self._sessions.get(session.id)
            if before is not None and _QUIET(before.session) == _QUIET(session):
                busy.append((before.key, *busy_row_of(session)))
                kept.append(_Kept(before.key, before.deployment, session))
            else:
                whole = self._save_whole(before, session, sums)
                found_by += terms.of_session(whole.key, before.session if before else None, session)
                kept.append(whole)
        bulk.update(self._database, "session", BUSY_COLUMNS, busy)
        for each in kept:
            self._keep(each)
        return kept

    def _save_whole(self, before: _Kept | None, session: Session, sums: Sums) -> _Kept:
        deployment = self._deployments[session.product, session.version, session.environment]
        key = one_integer(self._database, _UPSERT_SESSION, (*row_of(session), deployment))
        assert key is not None
        sums.change_session((before.session, before.deployment) if before else None, session, deployment)
        return _Kept(key, deployment, session)

    def _see(self, kept: list[_Kept]) -> None:
        """Write down when their deployments were last heard of, once a second at most."""
        for _, deployment, session in kept:
            second = session.updated_at // _SECOND * _SECOND
            if second > self._seen.get(deployment, 0):
                self._seen[deployment] = second
                self._database.execute(_SEEN, (second, deployment))

    def _event_rows(self, key: int, fold: Folded) -> list[Row]:
        names, levels = self._names, _LEVEL_NUMBERS
        return [
            (
                key,
                n,
                event.time,
                names[event.name],
                levels[event.level],
                event.message,
                str(event.data, "utf-8") if event.data else None,
            )
            for n, event in enumerate(fold.events, fold.session.events - len(fold.events))
        ]

    def _metric_rows(self, key: int, fold: Folded) -> list[tuple[int, int, int, int, float]]:
        series = self._series
        return [
            (key, n, metric.time, series[metric.name, metric.kind, metric.unit, *metric.tags], metric.value)
            for n, metric in enumerate(fold.metrics, fold.session.metrics - len(fold.metrics))
        ]

    def _name_key(self, name: str) -> int:
        return self._key_of("name", ("name",), (name,))

    def _series_key(self, identity: _Series) -> int:
        name, kind, unit, *tags = identity
        columns = ("name", "kind", "unit", "tags")
        return self._key_of("series", columns, (name, kind, unit or "", json_text(tags)))

    def _deployment_key(self, deployment: _Deployment) -> int:
        found = one_integer(self._database, _FIND_DEPLOYMENT, deployment)
        if found is None:
            found = one_integer(self._database, _ADD_DEPLOYMENT, deployment)
            assert found is not None
        return found

    def _key_of(self, table: str, columns: tuple[str, ...], values: tuple[str | None, ...]) -> int:
        where = " AND ".join(f"{column} = ?" for column in columns)
        found = one_integer(self._database, f"SELECT key FROM {table} WHERE {where}", values)  # noqa: S608  # ours
        if found is None:
            marks = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) RETURNING key"  # noqa: S608  # ours
            found = one_integer(self._database, insert, values)
            assert found is not None
        return found

    def _keep(self, kept: _Kept) -> None:
        session = kept.session
        if before := self._sessions.get(session.id):
            self._state_bytes -= before.session.state_bytes
        self._sessions[session.id] = kept
        self._sessions.move_to_end(session.id)
        self._state_bytes += session.state_bytes

    def _notice_others(self) -> None:
        version = one_integer(self._database, "PRAGMA data_version", ())
        if version != self._version:
            self._version = version
            self._forget()

    def _forget(self) -> None:
        self._sessions.clear()
        self._state_bytes = 0
        self._names.clear()
        self._series.clear()
        self._deployments.clear()
        self._seen.clear()
        self._terms.forget()

    def _trim(self) -> None:
        while len(self._sessions) > _SESSIONS_KEPT or self._state_bytes > _STATE_BYTES_KEPT:
            _, kept = self._sessions.popitem(last=False)
            self._state_bytes -= kept.session.state_bytes
        if len(self._names) > _NAMES_KEPT:
            self._names.clear()
        if len(self._series) > _NAMES_KEPT:
            self._series.clear()
        self._terms.trim()
        if len(self._deployments) > _NAMES_KEPT:
            self._deployments.clear()
            self._seen.clear()


def _change_rows(key: int, fold: Folded) -> list[Row]:
    return [
        (
            key,
            n,
            change.time,
            json_text(change.merge),
            json_text(change.remove) if change.remove else None,
            None if change.checkpoint is None else json_text(change.checkpoint),
        )
        for n, change in enumerate(fold.changes, fold.session.changes - len(fold.changes))
    ]
