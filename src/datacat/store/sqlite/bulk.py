"""Many rows by few statements.

One row a statement costs half as much again, and far more under load: the interpreter's lock is
given up and asked back around each step, so a busy event loop in the other thread would make
every single row wait for its turn.
"""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Final

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
    for first in range(0, len(rows), _MOST_ROWS):
        some = rows[first : first + _MOST_ROWS]
        size = next(size for size in _ROWS_A_STATEMENT if size >= len(some))
        values = [*chain.from_iterable(some), *[None] * (columns * (size - len(some)))]
        database.execute(_insert_sql(table, columns, size, on_conflict), values)


@cache
def _insert_sql(table: str, columns: int, rows: int, on_conflict: str) -> str:
    # Without a space too many: apsw keeps no statement prepared whose text is over 16 KiB.
    marks = f"({','.join('?' * columns)})"
    values = ",".join([marks] * rows)
    return f"INSERT INTO {table} SELECT * FROM(VALUES{values})WHERE column1 NOT NULL {on_conflict}"  # ours
