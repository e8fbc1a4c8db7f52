"""Copies of a database file, and putting one in the place of another.

What must hold: a copy has its name only once it is whole, checked and durable. Whatever stands at
the database's path is at every moment one whole database, with a log of its own or none: a log of
another would be played into it.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import apsw

from datacat.model.errors import StoreError, StoreUnavailable
from datacat.store.sqlite.checks import damage
from datacat.store.sqlite.connect import errors_of, opened
from datacat.store.upkeep import Copied, Restored, Tell

_SHARED_MEMORY: Final = "-shm"
"""Says nothing that the log does not say."""
LOGS: Final = ("-wal", "-journal", _SHARED_MEMORY)

_STEP_PAGES: Final = 256
_SYNC_PAGES: Final = 4 * _STEP_PAGES
"""What waits to be written at once is also what somebody else's commit may have to wait for."""

_HELD_TIMEOUT_MS: Final = 200


class InUse(StoreUnavailable):
    """Somebody else has the database open."""


def backup(path: Path, destination: Path, tell: Tell, *, force: bool) -> Copied:
    """See :class:`datacat.store.upkeep.Upkeep`."""
    if destination.is_dir():
        raise StoreError(f"{destination} is a directory: name the file, such as {destination / path.name}")
    if destination.exists():
        own = (path, *(Path(f"{path}{suffix}") for suffix in LOGS))
        if any(each.exists() and destination.samefile(each) for each in own):
            raise StoreError(f"{destination} is the database itself, or a part of it: name another file")
        if not force:
            raise StoreError(f"{destination} is there already: name another file, or pass --force")
    with opened(path) as source, unfinished(destination) as part:
        _copy(source, part, tell)
        copied = finish(part, tell)
        if destination.exists() and not force:
            raise StoreError(f"{destination} was made meanwhile: name another file, or pass --force")
        rename(part, destination)
    return Copied(str(destination), copied)


def restore(path: Path, source: Path, tell: Tell, *, keep: bool) -> Restored:
    """See :class:`datacat.store.upkeep.Upkeep`."""
    if path.exists() and source.exists() and source.samefile(path):
        raise StoreError(f"{source} is the database itself: name a backup of it")
    if path.exists():
        with held(path):  # told now, not after a long copy
            pass
    with opened(source, named="to restore") as database, unfinished(path) as part:
        _copy(database, part, tell)
        copied = finish(part, tell)
        kept = _aside(path) if keep and path.exists() else None
        with held(path):
            replace(path, part, kept)
    return Restored(str(path), copied, None if kept is None else str(kept))


@contextmanager
def held(path: Path) -> Iterator[apsw.Connection | None]:
    """Nobody else has the database open, nor can open it, until this is left; its log is folded into it.

    What is yielded is None where there is no file, or one that cannot be read as a database.

    Raises:
        InUse: somebody has it open.
    """
    with errors_of(path):
        held_by = _hold(path)
    try:
        yield held_by if isinstance(held_by, apsw.Connection) else None
    finally:
        if isinstance(held_by, apsw.Connection):
            held_by.close()
        elif held_by is not None:
            held_by.xClose()


def replace(path: Path, part: Path, kept: Path | None) -> None:
    """Put ``part`` where the database is, within :func:`held`; ``kept`` is what the old one is called then."""
    if kept is not None:
        try:
            os.link(path, kept)
        except OSError:  # a file system without links
            shutil.copy2(path, kept)
    for suffix in LOGS:
        log = Path(f"{path}{suffix}")
        if kept is not None and suffix != _SHARED_MEMORY and log.exists():
            log.rename(f"{kept}{suffix}")
        log.unlink(missing_ok=True)
    with suppress(OSError):  # the service's user must be able to open it, whoever restores
        if path.exists():
            shutil.copymode(path, part)
        owner = (path if path.exists() else path.parent).stat()
        os.chown(part, owner.st_uid, owner.st_gid)
    rename(part, path)


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A file beside ``path``, for what is to have its name; removed if it was not given it."""
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".unfinished", dir=path.parent)
    except OSError as error:
        raise StoreUnavailable(f"cannot write in {path.parent.absolute()}: {error.strerror}") from error
    os.close(number)
    try:
        yield Path(name)
    except OSError as error:
        raise StoreUnavailable(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        for suffix in ("", *LOGS):
            Path(f"{name}{suffix}").unlink(missing_ok=True)


def finish(part: Path, tell: Tell) -> int:
    """Check a copy and make it durable; its bytes."""
    with opened(part) as database:
        if found := damage(database, tell, full=False):
            raise StoreError(
                f"the copy is damaged ({found[0]}): look at what it was made of with datacat db check"
            )
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    return part.stat().st_size


def rename(part: Path, path: Path) -> None:
    """Give a finished file its name, durably."""
    part.replace(path)
    if sys.platform != "win32":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk has no room for; ``needed`` is bytes."""
    if (free := shutil.disk_usage(folder).free) < needed:
        raise StoreUnavailable(
            f"{folder.absolute()} has {free / 1e6:,.0f} MB free, and {needed / 1e6:,.0f} MB are needed: make room, "
            "or choose a place on another disk"
        )


def _copy(source: apsw.Connection, part: Path, tell: Tell) -> None:
    # One moment of the source: without the transaction, each commit of the service would begin the copy anew.
    with errors_of(part), source:
        pages = source.execute("SELECT page_count FROM pragma_page_count, sqlite_schema").fetchone()
        check_room(part.parent, (pages[0] if pages else 0) * source.pragma("page_size"))
        copy = apsw.Connection(str(part))
        try:
            copy.pragma("journal_mode", "off")  # one that is not finished is thrown away
            copy.pragma("synchronous", "off")
            with copy.backup("main", source, "main") as run, part.open("rb+") as file:
                written = 0
                while not run.done:
                    began = time.monotonic()
                    run.step(_STEP_PAGES)
                    written += _STEP_PAGES
                    if written % _SYNC_PAGES == 0:
                        os.fsync(file.fileno())
                    tell("copying", 1 - run.remaining / max(1, run.page_count))
                    # Half of the time, the disk and the processor are the service's alone.
                    time.sleep(time.monotonic() - began)
            copy.pragma(
                "journal_mode", "delete"
            )  # one file, that can be read from a place that cannot be written
        finally:
            copy.close()


def _aside(path: Path) -> Path:
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return path.with_name(f"{path.name}.before-{moment}")


def _hold(path: Path) -> apsw.Connection | apsw.VFSFile | None:
    if not path.exists():
        return None
    try:
        return _hold_as_database(path) or _hold_as_file(path)
    except apsw.BusyError:
        raise InUse(
            f"{path} is in use: stop the service, and whatever else has it open, and try again"
        ) from None


def _hold_as_database(path: Path) -> apsw.Connection | None:
    database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        database.set_busy_timeout(_HELD_TIMEOUT_MS)
        database.config(
            apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1
        )  # of one that is damaged, nothing is touched
        database.pragma("locking_mode", "exclusive")
        database.pragma("journal_mode", "delete")
        database.execute("BEGIN EXCLUSIVE; COMMIT")
    except (apsw.NotADBError, apsw.CorruptError):
        database.close()
        return None
    except BaseException:
        database.close()
        raise
    return database


def _hold_as_file(path: Path) -> apsw.VFSFile:
    """The same lock, whatever is in the file."""
    file = apsw.VFSFile("", str(path), [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE, 0])
    try:
        file.xLock(apsw.SQLITE_LOCK_SHARED)
        file.xLock(apsw.SQLITE_LOCK_EXCLUSIVE)
    except BaseException:
        file.xClose()
        raise
    return file
