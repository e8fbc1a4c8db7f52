"""What a hang looks like: the stacks of every thread, and what the silent one did for a while.

One stack says where a thread stands; several say whether it moves, and its processor time says
whether it works. They are taken before the hang is told, so that the telling has all of it.
"""

import os
import sys
import threading
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from datacat.client import procfs
from datacat.client.stacks import all_stacks, frames_of

SAMPLES: Final = 5
_SPINNING: Final = 0.05
"""The share of a processor from which on a thread works. One that waits uses nothing; one that works
still gets so much where many want the same processor."""

_DEBUGGERS: Final = ("bdb.py", "pdb.py", "pydevd.py")


class Sample(Struct):
    """The silent thread at one moment; ``cpu_seconds`` is all it ever used, None where that is not known."""

    at: float
    cpu_seconds: float | None
    frames: list[dict[str, Any]]


class Evidence:
    """Gathers samples of one thread."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._cpu_at_beat: float | None = None

    def clear(self) -> None:
        """The thread has beaten again."""
        self._samples.clear()

    def sample(self, now: float, thread: int) -> None:
        """Look at the thread of this ident."""
        frame = sys._current_frames().get(thread)  # noqa: SLF001  # the documented way to ask
        self._samples = self._samples[1 - SAMPLES :]
        self._samples.append(Sample(now, procfs.cpu_seconds(native_id(thread)), frames_of(frame)))

    def describe(self, now: float, silent_for: float, thread: int) -> dict[str, Any]:
        """The hang's data: see docs/decisions/0007."""
        self.sample(now, thread)
        first, last = self._samples[0], self._samples[-1]
        used = None
        if first.cpu_seconds is not None and last.cpu_seconds is not None:
            used = last.cpu_seconds - first.cpu_seconds
        stacks = all_stacks(first=thread)
        return {
            "kind": kind_of(used, last.at - first.at),
            "thread": stacks[0]["thread"] if stacks else "",
            "cpu_seconds": None if used is None else round(used, 3),
            "watched_seconds": round(last.at - first.at, 3),
            "stacks": stacks,
            "samples": [
                {
                    "seconds_since_heartbeat": round(silent_for - (now - each.at), 3),
                    "cpu_seconds": each.cpu_seconds,
                    "frames": each.frames,
                }
                for each in self._samples
            ],
        }

    @property
    def being_debugged(self) -> bool:
        """Whether the thread stands in a debugger, and so waits for a person."""
        frames = self._samples[-1].frames if self._samples else []
        return any(Path(each["file"]).name in _DEBUGGERS for each in frames) or procfs.traced()


def kind_of(used: float | None, seconds: float) -> str:
    """``blocked``, ``spinning`` or ``unknown``, by the processor time used within ``seconds``.

    >>> kind_of(0.0, 4.0), kind_of(3.9, 4.0), kind_of(None, 4.0)
    ('blocked', 'spinning', 'unknown')
    """
    if used is None or seconds <= 0:
        return "unknown"
    return "spinning" if used / seconds >= _SPINNING else "blocked"


def native_id(ident: int) -> int:
    """The system's number for a thread of this process; 0 where it is not known."""
    if sys.platform == "linux" and ident == threading.main_thread().ident:
        return os.getpid()  # after a fork the thread itself still has its parent's
    for thread in threading.enumerate():
        if thread.ident == ident:
            return thread.native_id or 0
    return 0
