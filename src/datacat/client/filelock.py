"""A file that one process at a time holds; the system lets go of it when the process dies, however it dies."""

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


_held: "set[FileLock]" = set()


class FileLock:
    """A lock on ``path``.

    It belongs to the open file, not to the process: a second one on the same path is refused in the
    same process too. A forked child lives without it: it closes its copy, and the parent still holds the lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self, *, make: bool = True) -> bool:
        """Take it without waiting; whether it was free.

        Args:
            make: make the file where it is missing.

        Raises:
            OSError: the file cannot be opened.
        """
        flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0)
        self._file = os.open(self._path, flags | os.O_CREAT if make else flags, 0o600)
        _held.add(self)
        try:
            if sys.platform == "win32":
                msvcrt.locking(self._file, msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.forget()
            return False
        # Whoever held it before may have removed the file after we opened it: then this is no lock.
        if not self.in_place:
            self.release()
            return False
        return True

    @property
    def in_place(self) -> bool:
        """Whether it is held, and the file still stands at its path."""
        if self._file is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._file), os.stat(self._path))  # noqa: PTH116  # beside fstat
        except OSError:
            return False

    def moved(self, path: Path) -> None:
        """The file stands at ``path`` now; it is held as before."""
        self._path = path

    def release(self) -> None:
        """Let go of it."""
        if self._file is not None:
            if sys.platform != "win32":
                # A child that was forked just as the file was opened may have it open, too.
                fcntl.flock(self._file, fcntl.LOCK_UN)
            self.forget()

    def forget(self) -> None:
        """Close the file: the lock is let go of where no other process has it open."""
        if self._file is not None:
            file, self._file = self._file, None
            _held.discard(self)
            os.close(file)


def _forget_in_child() -> None:
    for lock in list(_held):
        lock.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
