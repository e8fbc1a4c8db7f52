"""What is in a database, told from what is kept anyway: sums over sessions, and the ends of an index."""

from pathlib import Path
from typing import Any, Final

import apsw

from datacat.model.errors import StoreError
from datacat.model.lifecycle import Status
from datacat.model.tally import Tally
from datacat.store.sqlite import removal
from datacat.store.sqlite.connect import migrations, opened
from datacat.store.sqlite.rows import Row
from datacat.store.sqlite.sums import SESSION_SPANS
from datacat.store.sqlite.vacuum import INCREMENTAL
from datacat.store.upkeep import ProductCount, Rows, Stats, TableSize

_LITTLE: Final = 256 * 1024 * 1024
"""Bytes of a file up to which the size of each table is told without being asked for."""

_COUNTED: Final = 20_000
"""Sessions up to which rows are counted session by session; of more, so many are looked at."""

_STATUSES: Final = {
    Status.ACTIVE: "active",
    Status.HUNG: "hung_now",
    Status.ENDED: "ended",
    Status.CRASHED: "crashed",
    Status.LOST: "lost",
}
_SUMS: Final = f"SELECT {', '.join(f'ifnull(sum({field}), 0)' for field in Tally._fields)} FROM session_sum WHERE length = ?"  # noqa: S608  # constants only
_PRODUCTS: Final = """
    SELECT d.product, sum(s.sessions) AS count
    FROM session_sum AS s JOIN deployment AS d ON d.key = s.deployment
    WHERE s.length = ? GROUP BY 1 HAVING count > 0 ORDER BY count DESC, d.product
"""
_ROWS: Final = """
    SELECT count(*), ifnull(sum(events), 0), ifnull(sum(metrics), 0), ifnull(sum(changes), 0)
    FROM json_each(?) AS looked JOIN session ON session.key = looked.value
"""
_ALL_ROWS: Final = (
    "SELECT ifnull(sum(events), 0), ifnull(sum(metrics), 0), ifnull(sum(changes), 0) FROM session"
)
_ENDS: Final = "SELECT (SELECT min(created_at) FROM session), (SELECT max(created_at) FROM session)"
_TABLES: Final = "SELECT name, pgsize FROM dbstat WHERE aggregate = TRUE ORDER BY pgsize DESC, name"


def stats(path: Path, *, tables: bool | None) -> Stats:
    """See :class:`datacat.store.upkeep.Upkeep`."""
    with opened(path) as database:
        schema = database.pragma("user_version")
        if schema < len(migrations()):
            raise StoreError(
                f"{path} is of schema {schema}, this datacat has {len(migrations())}: start the service once, which "
                "brings it up to date"
            )
        database.execute("BEGIN")  # all of one moment
        size = path.stat().st_size
        wal = Path(f"{path}-wal")
        longest = SESSION_SPANS[-1]
        tally = Tally(*_row(database, _SUMS, (longest,)))
        oldest, newest = _row(database, _ENDS)
        return Stats(
            path=str(path.absolute()),
            schema=schema,
            file_bytes=size,
            wal_bytes=wal.stat().st_size if wal.exists() else 0,
            free_bytes=database.pragma("freelist_count") * database.pragma("page_size"),
            gives_back=database.pragma("auto_vacuum") == INCREMENTAL,
            rows=_rows(database, tally.sessions),
            sessions={status.value: getattr(tally, field) for status, field in _STATUSES.items()},
            products=[ProductCount(*row) for row in database.execute(_PRODUCTS, (longest,))],
            oldest=oldest,
            newest=newest,
            removed=dict(database.execute("SELECT reason, sessions FROM removal ORDER BY reason")),
            being_removed=removal.waiting(database),
            tables=_tables(database) if (size <= _LITTLE if tables is None else tables) else None,
        )


def _rows(database: apsw.Connection, sessions: int) -> Rows:
    (problems,) = _row(database, "SELECT count(*) FROM problem")
    if sessions <= _COUNTED:
        events, metrics, changes = _row(database, _ALL_ROWS)
    else:
        (last,) = _row(database, "SELECT max(key) FROM session")
        looked_at = list(range(1, last + 1, max(1, last // _COUNTED)))
        seen, *found = _row(database, _ROWS, (str(looked_at),))
        events, metrics, changes = (round(each * sessions / max(1, seen)) for each in found)
    return Rows(sessions, events, metrics, changes, problems, sessions > _COUNTED)


def _tables(database: apsw.Connection) -> list[TableSize]:
    return [TableSize(name, size) for name, size in database.execute(_TABLES)]


def _row(database: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> Row:
    row: Row | None = database.execute(sql, values).fetchone()
    assert row is not None, "a question without a condition has an answer"
    return row
