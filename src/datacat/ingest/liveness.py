"""Who promised contact and is silent: the server's own verdict, when no other watcher is left.

What must hold: only time in which the server was there to listen counts. A server that has just
started, that stood still, or whose machine slept has heard nobody, and that says nothing about
anybody. So whenever its clocks disagree, or its own look comes late, listening begins anew. And a
session that was last heard of in the future was heard before the clock was set back: its silence
counts from there, not from when that future comes.

:class:`Listening` decides and waits for nothing; :class:`Liveness` asks it every second. The word
itself is a record like others, and the fold believes it only while it is still so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from datacat.ingest.background import running
from datacat.ingest.committer import Committer
from datacat.model.clock import CLOCK_JUMP, Clock
from datacat.model.lifecycle import CONTACT_LOST
from datacat.model.records import Batch, Event, Origin
from datacat.store.found import Overdue
from datacat.store.port import Reader
from datacat.wire.codec import encode

logger = logging.getLogger(__name__)

CHECK_INTERVAL: Final = 1.0
"""Seconds between two looks."""

_AT_ONCE: Final = 1_000
"""Sessions found in one look; the others are found in the next."""


class Listening:
    """Since when the server has been listening without a break.

    Args:
        now: microseconds since the epoch.
        monotonic: seconds of the clock that never goes back.
    """

    def __init__(self, now: int, monotonic: float) -> None:
        self.since = now
        self.set_back = True
        """Whether sessions may be ahead of the clock; a server that has just started cannot know."""
        self._last = now, monotonic

    def look(self, now: int, monotonic: float) -> int:
        """The moment, in microseconds since the epoch, from which silence may be counted."""
        before, monotonic_before = self._last
        self._last = now, monotonic
        passed = monotonic - monotonic_before
        jumped = (now - before) / 1_000_000 - passed
        if abs(jumped) > CLOCK_JUMP or passed > CHECK_INTERVAL + CLOCK_JUMP:
            self.since = now
        self.set_back = self.set_back or jumped < -CLOCK_JUMP
        return self.since


def word_of(overdue: Overdue, now: int) -> Batch:
    """What the server has to say of a session that broke its promise."""
    data = encode(
        {"silent_seconds": (now - overdue.updated_at) / 1_000_000, "promised": overdue.contact_timeout}
    )
    event = Event(seq=overdue.last_seq + 1, time=now, name=CONTACT_LOST, level="error", data=Raw(data))
    return Batch(overdue.session_id, Origin.SERVER, [event])


class Liveness:
    """Looks for silent sessions, and says so through the committer.

    Args:
        ingest: takes the word.
        reader: finds the sessions; may be asked from any thread.
        clock: the server's time.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        ingest: Committer,
        reader: Reader,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ingest = ingest
        self._reader = reader
        self._clock = clock
        self._sleep = sleep
        self._listening = Listening(clock.now(), clock.monotonic())

    def running(self) -> AbstractAsyncContextManager[None]:
        """Look again and again while the block lasts."""
        return running(self._run(), "datacat-liveness")

    async def check(self) -> int:
        """One look; how many sessions were found silent."""
        now = self._clock.now()
        since = self._listening.look(now, self._clock.monotonic())
        found = await asyncio.to_thread(self._reader.overdue, now, since, _AT_ONCE)
        if self._listening.set_back:
            ahead = await asyncio.to_thread(self._reader.ahead, now, _AT_ONCE)
            self._listening.set_back = bool(ahead)
            silent = now - since
            found += [
                replace(each, updated_at=since) for each in ahead if silent > each.contact_timeout * 1e6
            ]
        told = [self._ingest.submit(word_of(overdue, now), size=0) for overdue in found]
        for outcome in await asyncio.gather(*told, return_exceptions=True):
            # What could not be taken now is found again by the next look.
            if isinstance(outcome, BaseException):
                logger.debug("a loss of contact could not be recorded", exc_info=outcome)
        return len(found)

    async def _run(self) -> None:
        while True:
            await self._sleep(CHECK_INTERVAL)
            try:
                await self.check()
            except Exception:
                # The next look may succeed, and nobody else looks.
                logger.exception("silent sessions could not be looked for")
