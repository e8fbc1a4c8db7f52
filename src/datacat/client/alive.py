"""When a program was last seen alive: a number beside its journal, for whoever finds both.

A program that hangs records nothing, and one that has nothing to do records little. If it is then
killed, its last record is far older than its end; and it was its own threads that knew better.

What must hold: whoever watches for hangs never waits for the disk, which may be what the program hangs
for; nor is the telling held up by a server. So a thread of its own does it.

The file holds one little-endian u64, microseconds since the epoch. It is opened by its path each
time: nothing is held that another thread may close, and nothing is made where a journal was removed.
"""

import contextlib
import os
import struct
import threading
from pathlib import Path
from typing import Final

from datacat.client import threads
from datacat.model.clock import Clock

ALIVE_NAME: Final = "alive"
EVERY: Final = 1.0
"""Seconds between two writings; so exact is what is said of a program's end."""

_TIME: Final = struct.Struct("<Q")
_BINARY: Final = getattr(os, "O_BINARY", 0)  # Windows would end lines


class Alive:
    """Says again and again that this program is there.

    Args:
        folder: its journal's directory; while there is none, nothing is written.
        clock: the time.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / ALIVE_NAME
        self._clock = clock
        self._stopped: threading.Event | None = None

    def start(self) -> None:
        """Tell it once a second from now on, in a thread; where there can be none, nothing is told."""
        if self._stopped is not None:
            return
        self._stopped = threading.Event()
        thread = threading.Thread(target=self._run, args=(self._stopped,), name="datacat-alive", daemon=True)
        with contextlib.suppress(RuntimeError):
            threads.start(thread)

    def stop(self) -> None:
        """Tell it no more; returns at once."""
        stopped, self._stopped = self._stopped, None
        if stopped is not None:
            stopped.set()

    def tell(self) -> None:
        """The program is there now. Where that cannot be written, the last time that could be stays."""
        with contextlib.suppress(OSError):
            file = os.open(self._path, os.O_WRONLY | _BINARY)
            try:
                os.write(file, _TIME.pack(self._clock.now()))
            finally:
                os.close(file)

    def _run(self, stopped: threading.Event) -> None:
        while not stopped.wait(EVERY):
            self.tell()


def begin(folder: Path) -> None:
    """Make the file, with its block on the disk and nothing known yet; without it, nothing will be."""
    with contextlib.suppress(OSError):
        path = folder / ALIVE_NAME
        path.touch(mode=0o600)
        path.write_bytes(_TIME.pack(0))


def last_alive(folder: Path, now: int) -> int:
    """Microseconds since the epoch; 0 where it is not known.

    Such as of a journal of an earlier version, or where what is written cannot be: nobody has been seen
    later than ``now``.
    """
    try:
        content = (folder / ALIVE_NAME).read_bytes()
    except OSError:
        return 0
    time = int(_TIME.unpack(content)[0]) if len(content) == _TIME.size else 0
    return time if time <= now else 0
