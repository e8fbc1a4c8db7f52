"""The one writer of the database file.

Rows go in by statements of many rows each. One row a statement costs half as much again, and far
more under load: the interpreter's lock is given up and asked back around each step, so a busy
event loop in the other thread would make every single row wait for its turn.

Sessions just written are kept, so that a busy session is not read back for each commit; what a
failed transaction touched is forgotten again.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final

from datacat.model.fold import Folded
from datacat.model.records import Metric
from datacat.model.session import Session
from datacat.store.sqlite.connect import Durability, connect, errors_of
from datacat.store.sqlite.rows import (
    COLUMNS,
    LEVELS,
    STATE_SQL,
    Row,
    id_bytes,
    json_text,
    one_integer,
    row_of,
    session_of,
    state_of,
)

_ROWS_A_STATEMENT: Final = (1000, 300, 100, 30, 10, 3, 1)
"""The sizes in which rows are sent: few enough that their statements all stay prepared."""

_SESSIONS_KEPT: Final = 2_000
_NAMES_KEPT: Final = 100_000

_LEVEL_NUMBERS: Final = {level: number for number, level in enumerate(LEVELS)}

_SESSION_BY_ID: Final = f"SELECT key, {', '.join(COLUMNS)} FROM session WHERE id = ?"  # noqa: S608  # constants only
_UPSERT_SESSION: Final = (
    f"INSERT INTO session ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608  # constants only
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in COLUMNS[1:])} "
    "RETURNING key"
)


class SqliteWriter:
    """The write side of the port; belongs to the thread that uses it first."""

    def __init__(self, path: Path, *, durability: Durability = "full") -> None:
        self._path = path
        self._database = connect(path, durability=durability)
        self._sessions: OrderedDict[str, tuple[int, Session]] = OrderedDict()
        self._names: dict[str, int] = {}
        self._series: dict[tuple[str | None, ...], int] = {}

    @contextmanager
    def transaction(self) -> Iterator["SqliteWriter"]:
        """All or nothing; see :class:`datacat.store.port.Writer`."""
        with errors_of(self._path):
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self
                self._database.execute("COMMIT")
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
            return kept[1]
        row = self._database.execute(_SESSION_BY_ID, (id_bytes(session_id),)).fetchone()
        if row is None:
            return None
        session = session_of(row[1:], state_of(list(self._database.execute(STATE_SQL, (row[0],)))))
        self._sessions[session_id] = (row[0], session)
        return session

    def save(self, folds: Iterable[Folded]) -> None:
        """Keep the sessions, and add the rows sorted by session and number."""
        by_session: dict[str, list[Folded]] = {}
        for fold in folds:
            by_session.setdefault(fold.session.id, []).append(fold)
        keyed = sorted((self._save_session(of_one[-1].session), of_one) for of_one in by_session.values())
        self._insert("event", 7, (row for key, of_one in keyed for row in self._event_rows(key, of_one)))
        self._insert("metric", 5, (row for key, of_one in keyed for row in self._metric_rows(key, of_one)))
        self._insert("change", 6, (row for key, of_one in keyed for row in _change_rows(key, of_one)))

    def close(self) -> None:
        """Let go of the database; the write-ahead log is folded into the file."""
        self._database.close()

    def _save_session(self, session: Session) -> int:
        key = one_integer(self._database, _UPSERT_SESSION, row_of(session))
        assert key is not None
        self._sessions[session.id] = (key, session)
        self._sessions.move_to_end(session.id)
        return key

    def _insert(self, table: str, columns: int, rows: Iterable[Row]) -> None:
        waiting = list(rows)
        sent = 0
        for size in _ROWS_A_STATEMENT:
            while len(waiting) - sent >= size:
                values = tuple(chain.from_iterable(waiting[sent : sent + size]))
                self._database.execute(_insert_sql(table, columns, size), values)
                sent += size

    def _event_rows(self, key: int, folds: list[Folded]) -> Iterator[Row]:
        name_key = self._name_key
        levels = _LEVEL_NUMBERS
        for fold in folds:
            n = fold.session.events - len(fold.events)
            for event in fold.events:
                data = event.data
                yield (
                    key,
                    n,
                    event.time,
                    name_key(event.name),
                    levels[event.level],
                    event.message,
                    str(data, "utf-8") if data else None,
                )
                n += 1

    def _metric_rows(self, key: int, folds: list[Folded]) -> Iterator[Row]:
        for fold in folds:
            n = fold.session.metrics - len(fold.metrics)
            for metric in fold.metrics:
                yield key, n, metric.time, self._series_key(metric), metric.value
                n += 1

    def _name_key(self, name: str) -> int:
        if (known := self._names.get(name)) is not None:
            return known
        key = self._key_of("name", ("name",), (name,))
        self._names[name] = key
        return key

    def _series_key(self, metric: Metric) -> int:
        identity = (metric.name, metric.kind, metric.unit, *metric.tags)
        if (known := self._series.get(identity)) is not None:
            return known
        columns = ("name", "kind", "unit", "tags")
        key = self._key_of(
            "series", columns, (metric.name, metric.kind, metric.unit or "", json_text(metric.tags))
        )
        self._series[identity] = key
        return key

    def _key_of(self, table: str, columns: tuple[str, ...], values: tuple[str, ...]) -> int:
        where = " AND ".join(f"{column} = ?" for column in columns)
        found = one_integer(self._database, f"SELECT key FROM {table} WHERE {where}", values)  # noqa: S608  # ours
        if found is None:
            marks = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) RETURNING key"  # noqa: S608  # ours
            found = one_integer(self._database, insert, values)
            assert found is not None
        return found

    def _forget(self) -> None:
        self._sessions.clear()
        self._names.clear()
        self._series.clear()

    def _trim(self) -> None:
        while len(self._sessions) > _SESSIONS_KEPT:
            self._sessions.popitem(last=False)
        if len(self._names) > _NAMES_KEPT:
            self._names.clear()
        if len(self._series) > _NAMES_KEPT:
            self._series.clear()


def _change_rows(key: int, folds: list[Folded]) -> Iterator[Row]:
    for fold in folds:
        n = fold.session.changes - len(fold.changes)
        for change in fold.changes:
            yield (
                key,
                n,
                change.time,
                json_text(change.merge),
                json_text(change.remove) if change.remove else None,
                None if change.checkpoint is None else json_text(change.checkpoint),
            )
            n += 1


@cache
def _insert_sql(table: str, columns: int, rows: int) -> str:
    marks = f"({', '.join('?' * columns)})"
    return f"INSERT INTO {table} VALUES {', '.join([marks] * rows)}"  # noqa: S608  # constants only
