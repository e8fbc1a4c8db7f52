"""What every thread of this program is doing, now."""

import linecache
import sys
import threading
from types import FrameType
from typing import Any, Final

MAX_FRAMES: Final = 50


def all_stacks() -> list[dict[str, Any]]:
    """Each thread with its frames, outermost first; datacat's own threads are left out.

    Returns:
        ``[{"thread": name, "ident": int, "daemon": bool, "frames": [{"file", "line", "function",
        "code"}]}]``, the main thread first.
    """
    threads = {thread.ident: thread for thread in threading.enumerate()}
    main = threading.main_thread().ident
    stacks = []
    frames = sys._current_frames()  # noqa: SLF001  # the documented way to ask
    for ident in sorted(frames, key=lambda ident: ident != main):
        thread = threads.get(ident)
        name = thread.name if thread else f"thread {ident}"
        if not name.startswith("datacat-"):
            stacks.append(
                {
                    "thread": name,
                    "ident": ident,
                    "daemon": bool(thread and thread.daemon),
                    "frames": _frames(frames[ident]),
                }
            )
    return stacks


def _frames(frame: FrameType | None) -> list[dict[str, Any]]:
    innermost: list[dict[str, Any]] = []
    while frame is not None and len(innermost) < MAX_FRAMES:
        code = frame.f_code
        innermost.append(
            {
                "file": code.co_filename,
                "line": frame.f_lineno,
                "function": code.co_qualname,
                "code": linecache.getline(code.co_filename, frame.f_lineno or 0).strip()[:200],
            }
        )
        frame = frame.f_back
    return innermost[::-1]
