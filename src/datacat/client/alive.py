"""When a program was last seen alive: a number beside its journal, for whoever finds both.

A program that hangs records nothing, and one that has nothing to do records little. If it is then
killed, its last record is far older than its end; and it was its own threads that knew better.

The file holds one little-endian u64, microseconds since the epoch. It is opened by its path each
time: who writes it never holds a file that another thread may close.
"""

import os
import struct
from pathlib import Path
from typing import Final

from datacat.model.clock import Clock

ALIVE_NAME: Final = "alive"
EVERY: Final = 1.0
"""Seconds between two writings; so exact is what is said of a program's end."""

_TIME: Final = struct.Struct("<Q")


class Alive:
    """Says again and again that this program is there.

    Args:
        folder: its journal's directory; while there is none, nothing is written.
        clock: the time.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / ALIVE_NAME
        self._clock = clock
        self._not_before = 0.0

    def tell(self) -> None:
        """The program is there now. Cheap enough to be called often; raises nothing."""
        now = self._clock.monotonic()
        if now < self._not_before:
            return
        self._not_before = now + EVERY
        try:
            # Not made here: who makes the journal makes it, with its block on the disk.
            file = os.open(self._path, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError:
            return
        try:
            os.write(file, _TIME.pack(self._clock.now()))
        except OSError:  # the last time that could be written stays
            return
        finally:
            os.close(file)


def begin(folder: Path) -> None:
    """Make the file, with nothing known yet.

    Raises:
        OSError: there is no room.
    """
    path = folder / ALIVE_NAME
    path.touch(mode=0o600)
    path.write_bytes(_TIME.pack(0))


def last_alive(folder: Path) -> int:
    """Microseconds since the epoch; 0 where it is not known, such as of a journal of an earlier version."""
    try:
        content = (folder / ALIVE_NAME).read_bytes()
    except OSError:
        return 0
    return int(_TIME.unpack(content)[0]) if len(content) == _TIME.size else 0
