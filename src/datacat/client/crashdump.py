"""The interpreter's last words: what ``faulthandler`` writes when the interpreter itself falls over.

They go into a file beside the journal, so that whoever delivers the journal of the dead program has
them, with the stack of every thread. A program that has turned ``faulthandler`` on by itself keeps
its own way.
"""

import faulthandler
import os
import re
import threading
from pathlib import Path
from typing import Final

NAME: Final = "crash.txt"
_MOST: Final = 64 * 1024

_file: int | None = None
_listening: list[Path] = []
"""The directories of those who listen, the latest last."""
_turn = threading.RLock()  # a signal handler may begin or end a session, too

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
    """Have the last words of this process written into ``folder``, whoever listened before."""
    with _turn:
        if _file is None and faulthandler.is_enabled():
            return
        if _write_into(folder):
            _listening.append(folder)


def leave(folder: Path) -> None:
    """The session is over: whoever listened before, and still does, has them again."""
    with _turn:
        if folder not in _listening:
            return
        latest = _listening[-1] == folder
        _listening.remove(folder)
        if latest and _listening:
            _write_into(_listening[-1])


def stop() -> None:
    """In a forked child: the file is the parent's."""
    global _file, _turn  # as below
    _turn = threading.RLock()
    _listening.clear()
    if _file is not None:
        faulthandler.disable()
        os.close(_file)
        _file = None


def _write_into(folder: Path) -> bool:
    global _file  # the interpreter has one such file
    try:
        file = os.open(
            folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600
        )
    except OSError:
        return False
    faulthandler.enable(file)
    if _file is not None:
        os.close(_file)
    _file = file
    return True


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


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=stop)
