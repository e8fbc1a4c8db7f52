"""The one writer of the database file.

Rows go in by statements of many rows each. One row a statement costs half as much again, and far
more under load: the interpreter's lock is given up and asked back around each step, so a busy
event loop in the other thread would make every single row wait for its turn.

Sessions just written are kept, so that a busy session is not read back for each commit; what a
failed transaction touched is forgotten again.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from datacat.model.fold import Folded
from datacat.model.session import Session
from datacat.store.sqlite.connect import Durability, connect, errors_of
from datacat.store.sqlite.problems import UPSERT_PROBLEM, problem_row
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

_ROWS_A_STATEMENT: Final = (1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000)
"""The sizes in which rows are sent: few enough that their statements all stay prepared.

What is sent is filled up to the next size with rows of NULLs, which the statement leaves out: one
statement more would cost more than they do, see above.
"""

_MOST_ROWS: Final = _ROWS_A_STATEMENT[-1]

_SESSIONS_KEPT: Final = 2_000
_STATE_BYTES_KEPT: Final = 16 * 1024 * 1024
"""States of the sessions kept, as JSON; as Python's objects they weigh several times as much."""

_NAMES_KEPT: Final = 100_000

_LEVEL_NUMBERS: Final = {level: number for number, level in enumerate(LEVELS)}

_SESSION_BY_ID: Final = f"SELECT key, {', '.join(COLUMNS)} FROM session WHERE id = ?"  # noqa: S608  # constants only
_UPSERT_SESSION: Final = (
    f"INSERT INTO session ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) "  # noqa: S608  # constants only
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in COLUMNS[2:])} "
    "RETURNING key"
)


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
        self._sessions: OrderedDict[str, tuple[int, Session]] = OrderedDict()
        self._state_bytes = 0
        self._names = _Keys(self._name_key)
        self._series = _Keys(self._series_key)

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
        self._keep(row[0], session)
        return session

    def save(self, folds: Iterable[Folded]) -> None:
        """Keep the sessions, and add the rows sorted by session and number."""
        by_session: dict[str, list[Folded]] = {}
        for fold in folds:
            by_session.setdefault(fold.session.id, []).append(fold)
        keyed = sorted((self._save_session(of_one[-1].session), of_one) for of_one in by_session.values())
        in_order = [(key, fold) for key, of_one in keyed for fold in of_one]
        self._insert("event", 7, [row for key, fold in in_order for row in self._event_rows(key, fold)])
        self._insert("metric", 5, [row for key, fold in in_order for row in self._metric_rows(key, fold)])
        self._insert("change", 6, [row for key, fold in in_order for row in _change_rows(key, fold)])
        for key, fold in in_order:
            for problem in fold.problems:
                self._database.execute(UPSERT_PROBLEM, problem_row(key, problem))

    def close(self) -> None:
        """Let go of the database; the write-ahead log is folded into the file."""
        self._database.close()

    def _save_session(self, session: Session) -> int:
        key = one_integer(self._database, _UPSERT_SESSION, row_of(session))
        assert key is not None
        self._keep(key, session)
        return key

    def _insert(self, table: str, columns: int, rows: list[Row]) -> None:
        for first in range(0, len(rows), _MOST_ROWS):
            some = rows[first : first + _MOST_ROWS]
            size = next(size for size in _ROWS_A_STATEMENT if size >= len(some))
            values = [*chain.from_iterable(some), *[None] * (columns * (size - len(some)))]
            self._database.execute(_insert_sql(table, columns, size), values)

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

    def _metric_rows(self, key: int, fold: Folded) -> list[Row]:
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

    def _key_of(self, table: str, columns: tuple[str, ...], values: tuple[str | None, ...]) -> int:
        where = " AND ".join(f"{column} = ?" for column in columns)
        found = one_integer(self._database, f"SELECT key FROM {table} WHERE {where}", values)  # noqa: S608  # ours
        if found is None:
            marks = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) RETURNING key"  # noqa: S608  # ours
            found = one_integer(self._database, insert, values)
            assert found is not None
        return found

    def _keep(self, key: int, session: Session) -> None:
        if before := self._sessions.get(session.id):
            self._state_bytes -= before[1].state_bytes
        self._sessions[session.id] = (key, session)
        self._sessions.move_to_end(session.id)
        self._state_bytes += session.state_bytes

    def _forget(self) -> None:
        self._sessions.clear()
        self._state_bytes = 0
        self._names.clear()
        self._series.clear()

    def _trim(self) -> None:
        while len(self._sessions) > _SESSIONS_KEPT or self._state_bytes > _STATE_BYTES_KEPT:
            _, (_, session) = self._sessions.popitem(last=False)
            self._state_bytes -= session.state_bytes
        if len(self._names) > _NAMES_KEPT:
            self._names.clear()
        if len(self._series) > _NAMES_KEPT:
            self._series.clear()


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


@cache
def _insert_sql(table: str, columns: int, rows: int) -> str:
    # Without a space too many: apsw keeps no statement prepared whose text is over 16 KiB.
    marks = f"({','.join('?' * columns)})"
    values = ",".join([marks] * rows)
    return f"INSERT INTO {table} SELECT * FROM(VALUES{values})WHERE column1 NOT NULL"  # constants only
