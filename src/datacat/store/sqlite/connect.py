"""Opening the database file: pragmas, migrations, and errors in our own words.

The file says what it is: ``application_id`` marks it as ours and ``user_version`` is the number
of the last migration. A file of another program, or of a newer datacat, is refused untouched. A new
database appears at its path whole, so an empty file is never one that was being made: it is one that
was cut off, and is refused too.
"""

import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final

import apsw

from datacat.model.errors import StoreError, StoreUnavailable
from datacat.model.words import words
from datacat.store.asked import Durability
from datacat.store.sqlite.presence import log_of
from datacat.store.sqlite.rows import json_text

logger = logging.getLogger(__name__)

APPLICATION_ID: Final = 0x64636174  # "dcat"

_BUSY_TIMEOUT_MS: Final = 5_000

_SIGNALS_EVERY: Final = 100_000
"""Steps of the engine in a migration between two moments at which Ctrl-C is heard."""

_ONLY_WHERE: Final = re.compile("-- Only where: (SELECT .*)")
"""How a migration begins that is for some databases alone."""


def connect(path: Path, *, durability: Durability = "full") -> apsw.Connection:
    """A connection for the writer; the file and its tables are made where they are missing.

    Args:
        path: the database file; its directory must exist or be creatable.
        durability: ``full`` survives a power cut, ``normal`` a killed process.

    Raises:
        StoreError: not a datacat database, or one of a newer version.
        StoreUnavailable: it cannot be opened or written now.
    """
    with errors_of(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"cannot make the directory of {path}: {error}") from error
        _check_whole(path)
        if not path.exists():
            _make(path)
        database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            database.set_busy_timeout(_BUSY_TIMEOUT_MS)
            _check_ours(database, path)
            if database.readonly("main"):
                raise apsw.ReadOnlyError
            database.pragma("journal_mode", "wal")
            database.pragma("synchronous", durability)
            _tune(database)
            migrate(database)
        except BaseException:
            database.close()
            raise
        return database


@contextmanager
def opened(
    path: Path, *, writable: bool = False, named: str = "with --database"
) -> Iterator[apsw.Connection]:
    """A connection to a database that is there, of any schema that is known; it is left as it is.

    Args:
        path: the database file.
        writable: whether it may be written.
        named: how another file is named, for the errors.

    Raises:
        StoreError: it is missing, damaged, not a datacat database, or one of a newer version.
        StoreUnavailable: it cannot be opened now.
    """
    if not path.is_file():
        raise StoreError(f"there is no database at {path}: name the file {named}", code="missing")
    with errors_of(path):
        # Who may only read leaves an empty log behind, and who may write folds one in: so a log is left as it was.
        leaves_log = not writable and Path(f"{path}-wal").exists()
        flags = apsw.SQLITE_OPEN_READONLY if leaves_log else apsw.SQLITE_OPEN_READWRITE
        database = apsw.Connection(str(path), flags=flags)
        try:
            database.set_busy_timeout(_BUSY_TIMEOUT_MS)
            database.pragma("query_only", not writable)
            _check_ours(database, path, named)
            if not database.pragma("user_version"):
                raise StoreError(f"{path} is empty: no service has used it yet", code="empty")
            _tune(database)
            yield database
        finally:
            database.close()


def connect_reader(path: Path, *, busy_timeout_ms: int = _BUSY_TIMEOUT_MS) -> apsw.Connection:
    """A connection that only reads; WAL lets it never wait for the writer, but for whoever locks it all."""
    with errors_of(path):
        database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        database.set_busy_timeout(busy_timeout_ms)
        _tune(database)
        return database


def _tune(database: apsw.Connection) -> None:
    database.pragma("cache_size", -16 * 1024)  # KiB, a connection
    database.pragma("temp_store", "memory")


def _check_whole(path: Path) -> None:
    """Refuse a directory, and what is left when a database is gone: SQLite would begin a new one, and throw away its log."""
    if path.is_dir():
        raise StoreError(f"{path} is a directory: name a file, such as {path / 'datacat.db'}")
    size, log = (file.stat().st_size if file.exists() else None for file in (path, log_of(path)))
    if size == 0:
        raise StoreError(
            f"{path} is empty, so its content was lost: bring back a copy, or delete the file to begin a new database"
        )
    if size is None and log:
        raise StoreError(
            f"{path} is missing, but {log_of(path)}, which has its newest records, is there: "
            "put the database back beside it, or delete that file too to begin a new database"
        )


def _make(path: Path) -> None:
    """A new database, which is at ``path`` whole or not at all; one that appeared meanwhile stays."""
    try:
        with tempfile.TemporaryDirectory(prefix=f"{path.name}-new-", dir=path.parent) as folder:
            new = Path(folder, path.name)
            database = apsw.Connection(str(new))
            database.pragma("auto_vacuum", "incremental")  # heeded by a file that is still empty
            migrate(database)
            database.close()
            new.chmod(0o600)  # what programs record is nobody else's; who may read it, the owner decides
            try:
                os.link(new, path)
            except FileExistsError:
                pass
            except OSError:  # a file system that knows no second names
                new.rename(path)
    except OSError as error:
        raise StoreUnavailable(f"the database {path} cannot be made: {error}") from error


def _check_ours(database: apsw.Connection, path: Path, named: str = "with --database") -> None:
    application_id = database.pragma("application_id")
    empty = not list(database.execute("SELECT 1 FROM sqlite_schema LIMIT 1"))
    if application_id != APPLICATION_ID and not empty:
        raise StoreError(
            f"{path} is a database of another program: choose another file {named}", code="not_ours"
        )
    known = len(migrations())
    if (version := database.pragma("user_version")) > known:
        raise StoreError(
            f"{path} is of a newer datacat (schema {version}, this one knows {known}): "
            f"upgrade datacat, or choose another file {named}",
            code="newer",
        )


def migrations() -> list[str]:
    """The numbered migrations, in order: number n brings the schema from version n - 1 to n."""
    folder = resources.files("datacat.store.sqlite") / "migrations"
    scripts = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name
    )
    return [script.read_text(encoding="utf-8") for script in scripts]


def migrate(database: apsw.Connection) -> None:
    """Bring the schema up to date, in one transaction: where it is stopped, to close the database takes all back."""
    scripts = migrations()
    if database.pragma("user_version") == len(scripts):
        return
    database.create_scalar_function("words", _words)
    database.set_progress_handler(lambda: False, _SIGNALS_EVERY)
    database.execute("BEGIN IMMEDIATE")
    version = database.pragma("user_version")  # another may have been faster
    if 0 < version < len(scripts):
        logger.info(
            "bringing %s from schema %d to %d: a large one takes minutes, and stays as it is when this is stopped",
            database.filename,
            version,
            len(scripts),
        )
    for script in scripts[version:]:
        run(database, script)
    database.pragma("application_id", APPLICATION_ID)
    database.pragma("user_version", len(scripts))
    database.execute("COMMIT")
    database.set_progress_handler(None)


def run(database: apsw.Connection, script: str) -> None:
    """Run one migration, if it is for this database."""
    asked = _ONLY_WHERE.match(script)
    if asked is None or database.execute(asked[1]).get is not None:
        database.execute(script)


def _words(*texts: Any) -> str:
    """What a migration asks: a JSON array."""
    return json_text(sorted(words(*texts)))


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn the engine's errors into ours."""
    try:
        yield
    except (apsw.FullError, apsw.BusyError, apsw.LockedError, apsw.IOError, apsw.CantOpenError) as error:
        code = {apsw.FullError: "full", apsw.BusyError: "locked", apsw.LockedError: "locked"}.get(
            type(error), ""
        )
        raise StoreUnavailable(f"the database {path} cannot be used now: {error}", code=code) from error
    except apsw.ReadOnlyError as error:
        if getattr(error, "extendedresult", 0) == apsw.SQLITE_READONLY_DBMOVED:
            # Whoever waited for a restore to end has opened what it set aside.
            raise StoreUnavailable(f"{path} was replaced while it was being opened: start again") from error
        raise StoreUnavailable(
            f"the database {path} is read-only: give this user the right to write it", code="read_only"
        ) from error
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreError(f"{path} is damaged, or no database: {error}", code="damaged") from error
    except apsw.Error as error:
        raise StoreError(f"the database {path} refused: {error}") from error
