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
        longest: seconds; who promised contact must not wait past it.
    """

    def __init__(self, draw: Callable[[], float] = _draw, longest: float = LONGEST) -> None:
        self._draw = draw
        self._longest = min(longest, LONGEST)
        self._failures = 0

    def failed(self, retry_after: float | None = None) -> float:
        """Seconds to wait now; never less than the server asked for."""
        self._failures += 1
        bound: float = min(self._longest, FIRST * 2.0 ** min(self._failures, 16))
        return max(bound * self._draw(), FIRST / 2, retry_after or 0.0)

    def succeeded(self) -> None:
        """Start anew."""
        self._failures = 0
