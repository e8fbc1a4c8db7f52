"""The interpreter's last words: what ``faulthandler`` writes when the interpreter itself falls over.

They go into a file beside the journal, so that whoever delivers the journal of the dead program has
them, with the stack of every thread. A program that has turned ``faulthandler`` on by itself keeps
its own way.
"""

import faulthandler
import re
from pathlib import Path
from typing import IO, Final

NAME: Final = "crash.txt"
_MOST: Final = 64 * 1024

_ours: IO[bytes] | None = None

_SIGNALS: Final = {
    "Segmentation fault": "SIGSEGV",
    "Aborted": "SIGABRT",
    "Bus error": "SIGBUS",
    "Illegal instruction": "SIGILL",
    "Floating point exception": "SIGFPE",
    "Floating-point exception": "SIGFPE",
}
_FATAL: Final = re.compile(r"^Fatal Python error: (?P<what>[^\n]+)", re.MULTILINE)


def listen(folder: Path) -> None:
    """Have the last words of this process written into ``folder``."""
    global _ours  # the interpreter has one such file
    if _ours is None and faulthandler.is_enabled():
        return
    try:
        file = (folder / NAME).open("wb", buffering=0)
    except OSError:
        return
    faulthandler.enable(file)
    if _ours is not None:
        _ours.close()
    _ours = file


def stop() -> None:
    """In a forked child: the file is the parent's."""
    global _ours  # as above
    if _ours is not None:
        faulthandler.disable()
        _ours.close()
        _ours = None


def read(folder: Path) -> str:
    """What was written in ``folder``; empty when nothing was."""
    try:
        with (folder / NAME).open("rb") as file:
            return file.read(_MOST).decode("utf-8", "replace")
    except OSError:
        return ""


def describe(dump: str) -> dict[str, str]:
    r"""What a dump says: ``dump``, ``message``, and ``signal_name`` where a signal was the end.

    >>> describe("Fatal Python error: Segmentation fault\n\nCurrent thread …")["signal_name"]
    'SIGSEGV'
    """
    fatal = _FATAL.search(dump)
    what = fatal["what"].strip() if fatal else "the interpreter fell over"
    described = {"dump": dump, "message": what}
    if what in _SIGNALS:
        described["signal_name"] = _SIGNALS[what]
    return described
