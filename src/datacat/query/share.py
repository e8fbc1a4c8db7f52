"""A share of the machine's time: one work at a time, and a rest after each."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

_REST: Final = 4.0
"""How long a rest is, beside the work: so all of it takes a fifth of the time at most."""


class Share:
    """Does in a thread what others ask for, and never takes more than its share of the time for all of them."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._rested = 0.0

    async def run(self, work: Callable[[], T]) -> T:
        """The answer of ``work``, in its turn."""
        async with self._one_at_a_time:
            await asyncio.sleep(max(0.0, self._rested - time.monotonic()))
            began = time.monotonic()
            try:
                return await asyncio.to_thread(work)
            finally:
                ended = time.monotonic()
                self._rested = ended + (ended - began) * _REST
