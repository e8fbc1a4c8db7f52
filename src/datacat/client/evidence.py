"""What a hang looks like: the stacks of every thread, and what the silent one did for a while.

One stack says where a thread stands; several say whether it moves, and its processor time says
whether it works. They are taken before the hang is told, so that the telling has all of it.
"""

import os
import sys
import threading
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import Struct

from datacat.client import procfs
from datacat.client.procfs import Processor, kind_of
from datacat.client.stacks import all_stacks, frames_of

SAMPLES: Final = 5
_DEBUGGERS: Final = ("bdb.py", "pdb.py", "pydevd.py")


class Sample(Struct):
    """The silent thread at one moment."""

    at: float
    look: "Look"
    frames: list[dict[str, Any]]


class Look(NamedTuple):
    """What the thread that the system knows by this number had used."""

    native: int
    processor: Processor | None


class Evidence:
    """Gathers samples of one thread."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []
        self._looks: tuple[Look, Look] = (Look(0, None), Look(0, None))

    def look(self, thread: int) -> None:
        """Note what the thread of this ident has used: the next look may be the one that finds it silent."""
        self._looks = self._looks[1], _look(thread)

    def clear(self) -> None:
        """The thread is not silent."""
        self._samples.clear()

    def sample(self, now: float, thread: int) -> None:
        """Look at the thread of this ident."""
        frame = sys._current_frames().get(thread)  # noqa: SLF001  # the documented way to ask
        self._samples = self._samples[1 - SAMPLES :]
        self._samples.append(Sample(now, _look(thread), frames_of(frame)))

    def describe(self, now: float, silent_for: float, thread: int) -> dict[str, Any]:
        """The hang's data: see docs/decisions/0007."""
        if len(self._samples) < SAMPLES:
            self.sample(now, thread)
        first, last = self._span(silent_for)
        stacks = all_stacks(first=thread)
        lives = bool(stacks) and stacks[0]["ident"] == thread
        return {
            "kind": kind_of(first, last, silent_for),
            "thread": stacks[0]["thread"] if lives else "",
            **({} if lives else {"thread_ended": True}),
            "cpu_seconds": None if first is None or last is None else round(last.used - first.used, 3),
            "watched_seconds": None if first is None or last is None else round(last.at - first.at, 3),
            "stacks": stacks,
            "samples": [
                {
                    "seconds_since_heartbeat": round(silent_for - (now - each.at), 3),
                    "cpu_seconds": each.look.processor and each.look.processor.used,
                    "frames": each.frames,
                }
                for each in self._samples
            ],
        }

    def _span(self, silent_for: float) -> tuple[Processor | None, Processor | None]:
        """The first and the last that are known of one thread in its silence; of before it, where there is but one."""
        last = self._samples[-1].look
        if last.processor is None:
            return None, None
        began = last.processor.at - silent_for
        looks = (self._looks[0], *(each.look for each in self._samples[:-1]))
        known = [
            each.processor for each in looks if each.native == last.native and each.processor is not None
        ]
        within = [each for each in known if each.at >= began]
        first = within[0] if within else known[-1] if known else None
        return first, last.processor

    @property
    def being_debugged(self) -> bool:
        """Whether the thread stands in a debugger, and so waits for a person."""
        frames = self._samples[-1].frames if self._samples else []
        return any(Path(each["file"]).name in _DEBUGGERS for each in frames) or procfs.traced()


def _look(thread: int) -> Look:
    native = native_id(thread)
    return Look(native, procfs.processor(native) if native else None)


def native_id(ident: int) -> int:
    """The system's number for a thread of this process; 0 where it is not known."""
    if sys.platform == "linux" and ident == threading.main_thread().ident:
        return os.getpid()  # after a fork the thread itself still has its parent's
    for thread in threading.enumerate():
        if thread.ident == ident:
            return getattr(thread, "native_id", None) or 0  # eventlet's have none
    return 0
