"""Takes away what need not be kept any longer, beside the ingest and never in its way.

What must hold: a step holds the writer for some milliseconds and then leaves it alone for several times as long, so
ingest is slowed by less than a tenth; nothing that was heard of meanwhile is taken; a session that runs is never taken for
want of room. What was stopped in the middle goes on at the next start.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from msgspec import Struct

from datacat.ingest.background import running
from datacat.ingest.committer import Committer
from datacat.model.clock import Clock
from datacat.model.retention import Retention
from datacat.store.asked import Reason, Scope
from datacat.store.found import Size
from datacat.store.port import Reader, Writer

logger = logging.getLogger(__name__)

_LOOK_EVERY: Final = (1.0, 60.0)
"""Seconds between two looks, at least and at most: a tenth of the shortest period."""

_AT_ONCE: Final = 50
"""Sessions put out of sight in one commit."""

_STEP: Final = 0.005
"""Seconds that a step is meant to hold the writer for."""

_REST: Final = 10
"""How many times as long the writer is then left alone."""

_ROWS: Final = (50, 5_000)
_PAGES: Final = 200

_DAY: Final = 86_400.0


class Pace:
    """How many rows a step takes, from how long the last one took; pure.

    >>> pace = Pace()
    >>> pace.took(0.050, 500)
    >>> pace.rows
    50
    """

    def __init__(self) -> None:
        self.rows = 500

    def took(self, seconds: float, rows: int) -> None:
        """A step of so many rows took so long."""
        fitting = int(rows * _STEP / max(seconds, 1e-6))
        self.rows = min(max(fitting, _ROWS[0]), _ROWS[1], max(2 * self.rows, _ROWS[0]))


class Believed:
    """The time by which ages are counted: the clock's, but a jump forward by more than a day is believed after a day.

    Else a clock that is set to another year by mistake has everything removed before anybody sees it.

    Args:
        clock: the server's time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock.now(), clock.monotonic()
        self._jumped_at: float | None = None

    def now(self) -> int:
        """Microseconds since the epoch."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        expected = self._last[0] + int((monotonic - self._last[1]) * 1_000_000)
        ahead = (now - expected) / 1_000_000
        if ahead > _DAY:
            if self._jumped_at is None:
                self._jumped_at = monotonic
                logger.warning(
                    "the clock went forward by %.0f days, set or while the machine slept: if it stays so for a day, "
                    "sessions are removed for their age by it",
                    ahead / _DAY,
                )
            if monotonic - self._jumped_at < _DAY:
                return expected
        self._jumped_at = None
        self._last = now, monotonic
        return now


class Removed(Struct):
    """What was done since the start."""

    rows: int = 0
    seconds: float = 0.0
    cannot: bool = False
    """Whether there is more than there may be, and nothing that may go."""


class Janitor:
    """Looks for what may go, and takes it away.

    Args:
        committer: whose writer does it.
        reader: finds the sessions.
        clock: the server's time.
        retention: what is kept.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        committer: Committer,
        reader: Reader,
        clock: Clock,
        retention: Retention,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._committer = committer
        self._reader = reader
        self._clock = clock
        self._believed = Believed(clock)
        self._retention = retention
        self._sleep = sleep
        self._pace = Pace()
        self._woken = asyncio.Event()
        self.removed = Removed()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Look again and again while the block lasts."""
        return running(self._run(), "datacat-janitor")

    async def remove(
        self,
        session_ids: list[str],
        reason: Reason,
        *,
        heard_before: int | None = None,
        running: bool = True,
    ) -> int:
        """Put sessions out of sight, in one commit; how many there were.

        Args:
            session_ids: which.
            reason: why.
            heard_before: only those not heard of since, in microseconds since the epoch.
            running: whether those that run go, too.
        """
        now = self._clock.now()

        def work(writer: Writer) -> int:
            removed = 0
            with writer.transaction() as transaction:
                for each in session_ids:
                    session = transaction.load(each)
                    # It may have been heard of after it was found.
                    if (
                        session is not None
                        and (heard_before is None or session.updated_at < heard_before)
                        and (running or not session.active)
                    ):
                        removed += transaction.remove(each, reason, now)
            return removed

        return await self._step(work)

    def wake(self) -> None:
        """There is something to take away."""
        self._woken.set()

    async def look(self) -> None:
        """Put out of sight what is too old or too much, and take away all that is out of sight."""
        await self._remove_old()
        await self._sweep()
        await self._remove_much()

    async def _remove_old(self) -> None:
        if self._retention.shortest is None:
            return
        deployments = await asyncio.to_thread(self._reader.deployments, Scope())
        for product in {each.product for each in deployments}:
            now = self._believed.now()
            before = self._retention.before(product, now)
            while before is not None:
                found = await asyncio.to_thread(self._reader.expired, product, before, now, _AT_ONCE)
                if not found or not await self.remove(found, "age", heard_before=before):
                    break
                logger.info("removed %d sessions of %s for their age", len(found), product or "no product")

    async def _remove_much(self) -> None:
        most = self._retention.most_bytes
        if most is None:
            return
        while (await self._size()).used > most:
            found = await asyncio.to_thread(self._reader.oldest_finished, _AT_ONCE)
            if not found:
                if not self.removed.cannot:
                    logger.warning(
                        "the database is larger than max_size, and all its sessions run: none is removed"
                    )
                self.removed.cannot = True
                return
            # One by one: the last of fifty may be all that was too much.
            for each in found:
                await self.remove([each], "size", running=False)
                await self._sweep()
                if (await self._size()).used <= most:
                    break
        self.removed.cannot = False

    async def _size(self) -> Size:
        return await asyncio.to_thread(self._reader.size)

    async def _sweep(self) -> None:
        while rows := await self._step(self._sweep_some):
            self.removed.rows += rows
        while await self._step(lambda writer: writer.give_back(_PAGES)):
            pass

    def _sweep_some(self, writer: Writer) -> int:
        began = time.monotonic()
        rows = writer.sweep(self._pace.rows)
        self._pace.took(time.monotonic() - began, rows)
        return rows

    async def _step(self, work: Callable[[Writer], int]) -> int:
        """Something done with the writer, and then a rest."""

        def timed(writer: Writer) -> tuple[int, float]:
            began = time.monotonic()
            return work(writer), time.monotonic() - began

        done, seconds = await self._committer.run(timed)
        self.removed.seconds += seconds
        await self._sleep(seconds * _REST)
        return done

    async def _run(self) -> None:
        shortest = self._retention.shortest
        every = (
            _LOOK_EVERY[1] if shortest is None else min(max(shortest / 10, _LOOK_EVERY[0]), _LOOK_EVERY[1])
        )
        while True:
            self._woken.clear()
            try:
                await self.look()
            except Exception:
                # The next look may succeed, and nobody else looks.
                logger.exception("what need not be kept could not be taken away")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), every)
