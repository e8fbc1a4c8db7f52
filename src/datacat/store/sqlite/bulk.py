"""Many rows by few statements.

One row a statement costs half as much again, and far more under load: the interpreter's lock is
given up and asked back around each step, so a busy event loop in the other thread would make
every single row wait for its turn.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

import apsw

from datacat.store.sqlite.rows import Row

_ROWS_A_STATEMENT: Final = (1, 2, 4, 8, 16, 32, 64, 125, 250, 500, 1000)
"""The sizes in which rows are sent: few enough that their statements all stay prepared.

What is sent is filled up to the next size with rows of NULLs, which the statement leaves out: one
statement more would cost more than they do, see above.
"""

_MOST_ROWS: Final = _ROWS_A_STATEMENT[-1]


def insert(
    database: apsw.Connection, table: str, columns: int, rows: Sequence[Row], on_conflict: str = ""
) -> None:
    """Add ``rows``, whose first values are never None; ``on_conflict`` says what becomes of those there already."""
    for size, values in _filled(columns, rows):
        database.execute(_insert_sql(table, columns, size, on_conflict), values)


def update(database: apsw.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Change the rows whose keys stand first in ``rows``, and are never None, to what follows there."""
    for size, values in _filled(1 + len(columns), rows):
        database.execute(_update_sql(table, columns, size), values)


def _filled(columns: int, rows: Sequence[Row]) -> Iterator[tuple[int, list[Any]]]:
    for first in range(0, len(rows), _MOST_ROWS):
        some = rows[first : first + _MOST_ROWS]
        size = next(size for size in _ROWS_A_STATEMENT if size >= len(some))
        yield size, [*chain.from_iterable(some), *[None] * (columns * (size - len(some)))]


@cache
def _insert_sql(table: str, columns: int, rows: int, on_conflict: str) -> str:
    return f"INSERT INTO {table} SELECT * FROM({_marks(columns, rows)})WHERE column1 NOT NULL {on_conflict}"  # ours


@cache
def _update_sql(table: str, columns: tuple[str, ...], rows: int) -> str:
    if rows == 1:
        changes = ",".join(f"{column}=?{n}" for n, column in enumerate(columns, 2))
        return f"UPDATE {table} SET {changes} WHERE key=?1"  # noqa: S608  # ours; a third of what the other costs
    changes = ",".join(f"{column}=column{n}" for n, column in enumerate(columns, 2))
    return f"UPDATE {table} SET {changes} FROM({_marks(1 + len(columns), rows)})WHERE key=column1"  # noqa: S608  # ours


def _marks(columns: int, rows: int) -> str:
    # Without a space too many: apsw keeps no statement prepared whose text is over 16 KiB.
    row = f"({','.join('?' * columns)})"
    return "VALUES" + ",".join([row] * rows)
