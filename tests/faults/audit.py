"""What must hold in a database file, whatever happened to those who wrote it."""

import tempfile
from pathlib import Path
from typing import Any

import apsw

from datacat.store.sqlite.connect import APPLICATION_ID, connect, migrations

_BEFORE_SUMS = 2
"""The last version of the schema that kept no sums."""


def audit(path: Path) -> None:
    """The file is sound, and the sums that were kept at each commit are those of its rows."""
    database = apsw.Connection(str(path))
    assert database.pragma("integrity_check") == "ok"
    assert list(database.execute("PRAGMA foreign_key_check")) == []
    database.close()
    kept, anew = sums(path), sums_made_anew(path)
    for table, rows in kept.items():
        assert rows == anew[table], table


def sums(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The sums in a database, in order and without its own keys."""
    database = apsw.Connection(str(path))
    found: dict[str, list[tuple[Any, ...]]] = {
        "deployment": list(
            database.execute("SELECT product, version, environment FROM deployment ORDER BY 1, 2, 3")
        )
    }
    for table in ("session_sum", "metric_sum"):
        columns = ", ".join(
            f"t.{row[1]}" for row in database.execute(f"PRAGMA table_info({table})") if row[1] != "deployment"
        )
        found[table] = list(
            database.execute(
                f"SELECT d.product, {columns} FROM {table} AS t JOIN deployment AS d ON d.key = t.deployment "
                "ORDER BY 1, 2, 3, 4"
            )
        )
    database.close()
    return found


def sums_made_anew(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The sums that a database of these rows, kept by a version that knew no sums, is given."""
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder, "old.db")
        database = apsw.Connection(str(old))
        for script in migrations()[:_BEFORE_SUMS]:
            database.execute(script)
        database.pragma("application_id", APPLICATION_ID)
        database.pragma("user_version", _BEFORE_SUMS)
        database.execute("ATTACH ? AS kept", (str(path),))
        for table in ("session", "series", "metric"):
            columns = ", ".join(row[1] for row in database.execute(f"PRAGMA main.table_info({table})"))
            database.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM kept.{table}")
        database.close()
        connect(old).close()
        return sums(old)
