"""Keys in the database file. Nothing is remembered between questions, so a key is revoked at once."""

from pathlib import Path
from typing import Any, Final

import msgspec

from datacat.model.keys import Key
from datacat.store.sqlite.connect import connect, connect_reader, errors_of
from datacat.store.sqlite.rows import json_text

_COLUMNS: Final = (
    "id",
    "name",
    "scopes",
    "digest",
    "created_at",
    "product",
    "records_per_second",
    "revoked_at",
)
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM api_key"  # noqa: S608  # constants only
_FIND: Final = f"{_SELECT} WHERE id = ?"
_ALL: Final = f"{_SELECT} ORDER BY created_at, id"
_ADD: Final = f"INSERT INTO api_key ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608  # constants only
_REVOKE: Final = "UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"

_BUSY_TIMEOUT_MS: Final = 100
"""Keys are asked for in the event loop: behind a lock, all would wait for the one who asks."""


class SqliteKeyReader:
    """See :class:`datacat.store.keys.KeyReader`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = connect_reader(path, busy_timeout_ms=_BUSY_TIMEOUT_MS)

    def find(self, key_id: str) -> Key | None:
        """One row."""
        with errors_of(self._path):
            row = self._database.execute(_FIND, (key_id,)).fetchone()
        return None if row is None else _key_of(row)

    def any(self) -> bool:
        """Whether the table has a row."""
        with errors_of(self._path):
            return self._database.execute("SELECT 1 FROM api_key LIMIT 1").fetchone() is not None

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


class SqliteKeyStore(SqliteKeyReader):
    """See :class:`datacat.store.keys.KeyStore`; makes the database where it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = connect(path)

    def all(self) -> list[Key]:
        """Every row."""
        with errors_of(self._path):
            return [_key_of(row) for row in self._database.execute(_ALL)]

    def add(self, key: Key) -> None:
        """A new row."""
        values = msgspec.structs.asdict(key) | {"scopes": json_text(key.scopes)}
        with errors_of(self._path):
            self._database.execute(_ADD, tuple(values[column] for column in _COLUMNS))

    def revoke(self, key_id: str, now: int) -> bool:
        """Write down when."""
        with errors_of(self._path):
            self._database.execute(_REVOKE, (now, key_id))
            return self._database.changes() == 1


def _key_of(row: tuple[Any, ...]) -> Key:
    values = dict(zip(_COLUMNS, row, strict=True))
    return msgspec.convert(values | {"scopes": msgspec.json.decode(values["scopes"])}, Key)
