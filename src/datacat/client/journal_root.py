"""Where the journals of a machine's user are, and what dead programs left there."""

import contextlib
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from datacat.client.alive import last_alive
from datacat.client.filelock import FileLock
from datacat.client.journal import ABOUT_NAME, LOCK_NAME, SUFFIX, UNFINISHED, VERSION, About
from datacat.client.journal_reader import ForeignJournal, JournalReader
from datacat.model.clock import Clock

SET_ASIDE: Final = ".set-aside"
"""The ending of what this version cannot read: kept, and looked at no more."""

_JOURNAL: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\.(watchdog|parent))?")
_ABANDONED_AFTER: Final = 3600.0
"""Seconds after which a directory that is still being made was given up by the death of its program."""


def journal_root(environ: Mapping[str, str]) -> Path:
    """``DATACAT_JOURNAL_DIR``, or a directory in the platform's place for the state of programs."""
    if chosen := environ.get("DATACAT_JOURNAL_DIR"):
        return Path(chosen)
    import platformdirs

    return platformdirs.user_state_path("datacat", appauthor=False) / "journal"


class Leftover(Struct, frozen=True):
    """A journal that no program holds any more; its lock is ours until :meth:`close`.

    ``first`` is the number of its oldest record, 0 for none; ``last_alive`` when its program was last
    seen alive, in microseconds since the epoch, 0 where nothing but its records tells that.
    """

    folder: Path
    about: About
    reader: JournalReader
    first: int
    last_alive: int
    lock: FileLock

    @property
    def server(self) -> str:
        """The URL of the service that it was recorded at."""
        return self.about.url.rstrip("/")

    def close(self) -> None:
        """Leave it as it is, to whoever comes next."""
        self.reader.close()
        self.lock.release()

    def remove(self) -> None:
        """It is delivered: remove it."""
        self.reader.close()
        remove_folder(self.folder)
        self.lock.release()


def leftover_folders(root: Path) -> list[Path]:
    """The directories of journals, oldest session first; some may belong to living programs.

    Nothing of another name is looked at: the root may be a directory that has other things in it.
    """
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if _JOURNAL.fullmatch(entry.name) and entry.is_dir()]
    except OSError:
        return []
    return [root / name for name in sorted(names)]


def open_leftover(folder: Path, clock: Clock) -> Leftover | None:
    """The journal in ``folder``; None while its program, or another shipper, holds it.

    Raises:
        ForeignJournal: another version wrote it, or something else did; see :func:`set_aside`.
    """
    lock = FileLock(folder / LOCK_NAME)
    try:
        if not _take(lock, folder):
            return None
    except OSError:
        return None
    try:
        about = about_of(folder)
        reader = JournalReader(folder, about.session_id, clock)
        first = reader.survey()
    except BaseException:
        lock.release()
        raise
    return Leftover(folder, about, reader, first, last_alive(folder, clock.now()), lock)


def _take(lock: FileLock, folder: Path) -> bool:
    try:
        return lock.acquire(make=False)
    except FileNotFoundError:
        # It goes last: who removed the rest is at it, or was killed at it. A lock made anew would be in the way.
        with contextlib.suppress(OSError):
            folder.rmdir()
            return False
        return lock.acquire()


def set_aside(path: Path) -> Path:
    """Keep a journal, or a segment, that cannot be read under a name that is looked at no more."""
    kept = path.with_name(path.name + SET_ASIDE)
    with contextlib.suppress(OSError):
        path.rename(kept)
    return kept


def remove_abandoned(root: Path) -> None:
    """Remove what programs were killed in the middle of making: it never held a record."""
    for folder in root.glob(f"*{UNFINISHED}"):
        with contextlib.suppress(OSError):
            if (
                _JOURNAL.fullmatch(folder.stem)
                and folder.is_dir()
                and time.time() - folder.stat().st_mtime > _ABANDONED_AFTER
            ):
                remove_folder(folder)


def used_bytes(root: Path) -> int:
    """What all journals under ``root`` take from the disk, but for those set aside."""
    total = 0
    for folder in leftover_folders(root):
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                found = entry.stat(follow_symlinks=False)
                total += getattr(found, "st_blocks", -(-found.st_size // 512)) * 512
    return total


def remove_folder(folder: Path) -> None:
    """Remove a journal: the records first and the lock last, so that one half-removed can be taken up again.

    Two may be at it: neither is to stop because the other was faster.
    """
    with contextlib.suppress(OSError):
        for path in sorted(
            folder.iterdir(), key=lambda path: (path.suffix != SUFFIX, path.name == LOCK_NAME)
        ):
            path.unlink(missing_ok=True)
        folder.rmdir()


def about_of(folder: Path) -> About:
    """What is written in ``session.json``.

    Raises:
        ForeignJournal: it is not there, or this version cannot read it.
    """
    path = folder / ABOUT_NAME
    try:
        content = path.read_bytes()
        version = msgspec.json.decode(content, type=_Version).journal
        if version == VERSION:
            about = msgspec.json.decode(content, type=About)
            if about.folder_name != folder.name or about.pid < 0:
                raise ValueError("it describes no program's journal of this name")
            return about
    except FileNotFoundError:
        if not any(folder.glob(f"*{SUFFIX}")):  # its program was killed before it wrote anything
            return About(VERSION, folder.name.partition(".")[0], "")
        raise ForeignJournal(path, f"{path} is missing") from None
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise ForeignJournal(path, f"{path} cannot be read: {error}") from None
    raise ForeignJournal(
        path, f"{path} is of journal version {version}, this datacat reads version {VERSION}"
    )


class _Version(Struct):
    journal: int
