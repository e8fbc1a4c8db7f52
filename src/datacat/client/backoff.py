"""How long to wait before the next try: exponential, with full jitter. Pure."""

import random
from collections.abc import Callable
from typing import Final

FIRST: Final = 0.25
LONGEST: Final = 30.0

_draw: Final = random.SystemRandom().random
"""Not the module's own: a program that has seeded that must draw the same numbers with us as without."""


class Backoff:
    """Grows with each failure, forgets all of them with one success.

    Full jitter (a uniform draw below the bound) spreads clients that failed together.

    Args:
        draw: gives a number from 0 to 1.
        longest: seconds; who promised contact must not wait past it, whatever the server asks for.
    """

    def __init__(self, draw: Callable[[], float] = _draw, longest: float = LONGEST) -> None:
        self._draw = draw
        self._longest = min(longest, LONGEST)
        self._failures = 0

    def failed(self, retry_after: float | None = None) -> float:
        """Seconds to wait now; not less than the server asked for, but never more than the longest."""
        self._failures += 1
        bound = FIRST * 2.0 ** min(self._failures, 16)
        jittered = min(self._longest, bound) * self._draw()
        return max(FIRST / 2, min(self._longest, max(jittered, retry_after or 0.0)))

    def succeeded(self) -> None:
        """Start anew."""
        self._failures = 0
