"""The program's stderr on its way to ours: it passes unchanged and at once, and its end is kept.

Where ours is a terminal, the program gets a terminal too, so that it prints in colour, and by lines,
as it would without us. What is printed is made ready by the real terminal alone.
"""

import contextlib
import fcntl
import os
import select
import struct
import termios
import threading
from typing import Final

from datacat.client.parent.tail import Tail

STDERR: Final = 2
_BLOCK: Final = 64 * 1024
_OUTPUT_FLAGS: Final = 1
"""The place of ``c_oflag`` in what ``termios.tcgetattr`` gives."""

_LARGEST_PIPE: Final = 1024 * 1024
"""More cannot have been on its way when the program ended: the rest is from processes that it left behind."""


class Stderr:
    """The way through.

    ``child_end`` is the file that the program is to have as its stderr.
    """

    def __init__(self) -> None:
        self.tail = Tail()
        terminal = _terminal() if os.isatty(STDERR) else None
        self.is_terminal = terminal is not None
        self._source, self.child_end = terminal or os.pipe()
        self._stopped, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._run, name="datacat-stderr", daemon=True)

    def start(self) -> None:
        """The program has its end: begin to pass on."""
        os.close(self.child_end)
        self._thread.start()

    def resize(self) -> None:
        """The terminal has another size now."""
        _copy_size(self._source)

    def finish(self, timeout: float) -> None:
        """The program has ended: pass on what it printed, and nothing that others print.

        Args:
            timeout: seconds, for a reader that does not read.
        """
        os.write(self._stop, b"x")
        self._thread.join(timeout)

    def _run(self) -> None:
        # The last writer of a terminal is gone, or nobody reads ours: the program is to meet that too.
        with contextlib.suppress(OSError):
            self._pass_all()
        os.close(self._source)

    def _pass_all(self) -> None:
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        poll.register(self._stopped, select.POLLIN)
        left = _LARGEST_PIPE
        while left > 0:
            ready = {file for file, _ in poll.poll()}
            if self._source not in ready:
                return
            data = os.read(self._source, _BLOCK)
            if not data:
                return
            if self._stopped in ready:
                left -= len(data)
            self.tail.add(data)
            _write(data)


def is_open() -> bool:
    """Whether we have a stderr at all."""
    try:
        os.fstat(STDERR)
    except OSError:
        return False
    return True


def _write(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(STDERR, rest) :]
        except BlockingIOError:  # whoever shares the file has made it so
            select.select([], [STDERR], [])


def _terminal() -> tuple[int, int] | None:
    """A terminal like ours: the side that we read, and the program's; None where the system has no more."""
    try:
        ours, theirs = os.openpty()
    except OSError:
        return None
    attributes = termios.tcgetattr(STDERR)
    attributes[_OUTPUT_FLAGS] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    _copy_size(ours)
    return ours, theirs


def _copy_size(terminal: int) -> None:
    with contextlib.suppress(OSError):
        size = fcntl.ioctl(STDERR, termios.TIOCGWINSZ, struct.pack("4H", 0, 0, 0, 0))
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)
