"""What every thread of this program is doing, now."""

import linecache
import sys
import threading
from types import FrameType
from typing import Any, Final

MAX_FRAMES: Final = 50
"""Of the thread that is asked for first."""

_MAX_FRAMES_OF_OTHERS: Final = 20
MAX_THREADS: Final = 40
"""A record has a limit; so many threads stay below it, whatever they are called."""


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
    frames = sys._current_frames()  # noqa: SLF001  # the documented way to ask
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
        code = frame.f_code
        innermost.append(
            {
                "file": code.co_filename[-200:],
                "line": frame.f_lineno,
                "function": code.co_qualname[-200:],
                "code": linecache.getline(code.co_filename, frame.f_lineno or 0).strip()[:120],
            }
        )
        frame = frame.f_back
    return innermost[::-1]
