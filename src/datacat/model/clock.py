"""Time as the rest of datacat asks for it, so that a test can hand in its own."""

import time
from typing import Final, Protocol

CLOCK_JUMP: Final = 2.0
"""Seconds by which a clock may be corrected with nothing having happened."""


class Clock(Protocol):
    """The two questions: what time is it, and how much time has passed."""

    def now(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()
