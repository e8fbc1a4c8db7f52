"""What every thread of this program is doing, now.

What must hold: whoever asks waits for no disk, which may be what the program hangs for. So source that
was not read before is read in a thread of its own, and after a moment told without.
"""

import contextlib
import linecache
import sys
import threading
from types import FrameType
from typing import Any, Final

from datacat.client.threads import start

MAX_FRAMES: Final = 50
"""Of the thread that is asked for first."""

_MAX_FRAMES_OF_OTHERS: Final = 20
MAX_THREADS: Final = 40
"""A record has a limit; so many threads stay below it, whatever they are called."""


_READ_WITHIN: Final = 0.2
"""Seconds that are waited for a file with source; while that one is not there, no other is waited for."""

STAND_INS: Final = "datacat/client/children.py"
"""A program that waits in there called a function of the system, as far as it knows."""

_reading: threading.Thread | None = None
_sourceless: set[str] = set()


def all_stacks(first: int | None = None) -> list[dict[str, Any]]:
    """Each thread with its frames, outermost frame first; datacat's own threads are left out.

    Args:
        first: the ident of the thread to begin with, by default the main thread's.

    Returns:
        ``[{"thread": name, "ident": int, "daemon": bool, "frames": [{"file", "line", "function",
        "code"}]}]``.
    """
    threads = {thread.ident: thread for thread in threading.enumerate()}
    main = threading.main_thread().ident
    frames: dict[int, FrameType | None] = {**sys._current_frames()}  # noqa: SLF001  # the documented way to ask
    if first is not None and first in threads:
        frames.setdefault(first, None)  # it runs no Python, as one that the end of the interpreter has wait
    stacks: list[dict[str, Any]] = []
    for ident in sorted(frames, key=lambda ident: (ident != first, ident != main)):
        thread = threads.get(ident)
        name = thread.name if thread else f"thread {ident}"
        if not name.startswith("datacat-") and len(stacks) < MAX_THREADS:
            stacks.append(
                {
                    "thread": name[:200],
                    "ident": ident,
                    "daemon": bool(thread and thread.daemon),
                    "frames": frames_of(frames[ident], MAX_FRAMES if not stacks else _MAX_FRAMES_OF_OTHERS),
                }
            )
    return stacks


def frames_of(frame: FrameType | None, most: int = MAX_FRAMES) -> list[dict[str, Any]]:
    """The innermost frames of a stack, outermost first."""
    innermost: list[dict[str, Any]] = []
    while frame is not None and len(innermost) < most:
        if not frame.f_code.co_filename.endswith(STAND_INS):
            innermost.append(described_frame(frame))
        frame = frame.f_back
    return innermost[::-1]


def described_frame(frame: FrameType) -> dict[str, Any]:
    """``{"file", "line", "function", "code"}``."""
    code = frame.f_code
    return {
        "file": code.co_filename[-200:],
        "line": frame.f_lineno,
        "function": code.co_qualname[-200:],
        "code": _line(code.co_filename, frame.f_lineno or 0).strip()[:120],
    }


def _line(file: str, number: int) -> str:
    if not _is_read(file):
        _read(file)
    return linecache.getline(file, number) if _is_read(file) else ""


def _is_read(file: str) -> bool:
    return len(linecache.cache.get(file, ())) > 1  # an entry of one is a promise to read


def _read(file: str) -> None:
    global _reading  # the program has one disk that may not answer
    if file.startswith("<") or file in _sourceless or (_reading is not None and _reading.is_alive()):
        return
    reading = threading.Thread(target=linecache.getlines, args=(file,), name="datacat-source", daemon=True)
    with contextlib.suppress(RuntimeError):  # the interpreter ends
        start(reading)
        _reading = reading
        reading.join(_READ_WITHIN)
        if not reading.is_alive() and not _is_read(file):
            _sourceless.add(file)
