"""Whether the files that are written to are still those that a path leads to.

A file that is deleted or replaced while it is open can still be written and read, and all of it
is gone with the last process that has it open. Whoever answers that something is durable must ask
here first.
"""

import os
from pathlib import Path

from datacat.model.errors import StoreUnavailable


class Presence:
    """The database's file and its write-ahead log, as they were when this was made.

    Args:
        path: the database file, open by now.
    """

    def __init__(self, path: Path) -> None:
        self._known = {str(each): _identity(str(each)) for each in (path, log_of(path))}

    def check(self) -> None:
        """Return if both are still there.

        Raises:
            StoreUnavailable: one was deleted, moved away or replaced; with the cure.
        """
        for file, known in self._known.items():
            if known is not None and _identity(file) != known:
                raise StoreUnavailable(
                    f"{file} was deleted, moved or replaced while the service used it, and what is written now "
                    "would be lost: put it back, or start the service again to begin with what is there"
                )


def log_of(path: Path) -> Path:
    """The write-ahead log beside a database file."""
    return path.with_name(path.name + "-wal")


def _identity(file: str) -> tuple[int, int] | None:
    try:
        found = os.stat(file)  # noqa: PTH116  # asked twice in each commit, and Path.stat takes twice as long
    except OSError:
        return None
    return found.st_dev, found.st_ino
