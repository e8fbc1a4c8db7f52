"""Delivers what dead programs of this machine left in their journals, oldest session first."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from datacat.client.backlog import Backlog
from datacat.client.backoff import Backoff
from datacat.client.delivery import Delivery, Step
from datacat.client.epilogue import WithLastWords, last_words
from datacat.client.journal_reader import ForeignJournal
from datacat.client.journal_root import Leftover, leftover_folders, open_leftover, remove_abandoned, set_aside
from datacat.client.transport import Transport
from datacat.model.clock import Clock

logger = logging.getLogger("datacat.client")

LOOK_EVERY: Final = 60.0
"""Seconds between two looks for new ones, once all were delivered."""

_HELD_LOOK: Final = 0.05
"""Seconds between two looks at a journal that somebody else holds."""

_RETRY_AT_MOST: Final = 1.0
"""Seconds between two attempts for one program's journal: who makes them has little time."""


def delivery_of(
    leftover: Leftover, clock: Clock, transport: Transport, *, verdict_follows: bool = False
) -> Delivery:
    """How a leftover gets to its server: the server is thought to have what was removed already.

    Where no verdict follows from who saw the death, it ends with what can be said without.
    """
    last = None if verdict_follows else last_words(leftover)
    backlog = Backlog(
        leftover.reader if last is None else WithLastWords(leftover.reader, last),
        clock,
        after=leftover.first - 1,
        start=bytes(leftover.about.start)[1:],
    )
    return Delivery(leftover.about.session_id, backlog, transport)


def leftovers(root: Path, clock: Clock, complain: Callable[[str], None]) -> Iterator[Leftover]:
    """Every journal that no program holds, one after the other, each ours until it is closed or removed."""
    remove_abandoned(root)
    for folder in leftover_folders(root):
        try:
            found = open_leftover(folder, clock)
        except ForeignJournal as error:
            kept = set_aside(folder)
            complain(f"{error}; it is kept in {kept}: send it with the version that wrote it")
            continue
        if found is None:
            continue
        if found.first == 0:
            found.remove()
        else:
            yield found


def deliver_one(
    folder: Path,
    clock: Clock,
    make_transport: Callable[[str, str], Transport],
    *,
    free_by: float,
    deadline: float,
    verdict_follows: bool = False,
) -> None:
    """Deliver what one program left, as far as that is possible in the time.

    Args:
        folder: its journal.
        clock: the time.
        make_transport: a way to a server's URL, for what an origin wrote.
        free_by: until when to wait for somebody else who holds it, and may deliver it, or be killed
            before that; by :func:`time.monotonic`, as is ``deadline``.
        deadline: until when to try.
        verdict_follows: see :func:`delivery_of`.
    """
    try:
        while (leftover := open_leftover(folder, clock)) is None:
            if not folder.exists() or time.monotonic() >= free_by:
                return
            time.sleep(_HELD_LOOK)
        if leftover.first == 0:
            leftover.remove()
            return
        transport = make_transport(leftover.about.url, leftover.about.origin)
        delivery = delivery_of(leftover, clock, transport, verdict_follows=verdict_follows)
        try:
            while (step := delivery.step()) is not Step.NOTHING and time.monotonic() < deadline:
                if step is Step.FAILED:
                    time.sleep(min(delivery.wait, _RETRY_AT_MOST))
        except BaseException:
            leftover.close()
            raise
        finally:
            delivery.close()
        if step is Step.NOTHING:
            leftover.remove()
        else:
            leftover.close()
    except ForeignJournal as error:
        logger.warning("%s; it is kept in %s", error, set_aside(folder))


class LeftoverShipper:
    """Ships leftovers a chunk at a time, between a living program's own chunks.

    Args:
        root: where the journals are.
        clock: the time.
        make_transport: a way to a server's URL, for what an origin wrote.
        closed: told when it is closed.
    """

    def __init__(
        self,
        root: Path,
        clock: Clock,
        make_transport: Callable[[str, str], Transport],
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        self._root = root
        self._clock = clock
        self._make_transport = make_transport
        self._closed = closed
        self._backoff = Backoff(longest=LOOK_EVERY)
        self._silent: set[str] = set()
        self._looked = False
        self._queue: Iterator[Leftover] | None = None
        self._current: tuple[Leftover, Delivery] | None = None
        self._not_before = 0.0

    def step(self) -> bool:
        """Send one chunk of what was left behind; whether there may be more to do at once."""
        if self._clock.monotonic() < self._not_before or not (self._current or self._find()):
            return False
        assert self._current is not None
        leftover, delivery = self._current
        try:
            step = delivery.step()
        except ForeignJournal as error:
            self._leave()
            logger.warning("%s; it is kept in %s", error, set_aside(leftover.folder))
            return True
        if step is Step.NOTHING:
            delivery.close()
            self._current = None
            leftover.remove()
        elif step is Step.FAILED:
            # Others may be for a server that is there: one that never will be again must not stand before them.
            self._silent.add(leftover.server)
            self._leave()
        return True

    def look(self) -> None:
        """There may be a new one."""
        self._not_before = 0.0
        self._looked = False

    @property
    def done(self) -> bool:
        """Whether all that was found is delivered."""
        return self._looked and not self._silent

    def _find(self) -> bool:
        """Take the next one that can be tried; False at the end, where some time is waited."""
        if self._queue is None:
            self._silent.clear()
            self._looked = True
            self._queue = leftovers(self._root, self._clock, logger.warning)
        for leftover in self._queue:
            if leftover.server in self._silent:
                leftover.close()
                continue
            transport = self._make_transport(leftover.about.url, leftover.about.origin)
            self._current = leftover, delivery_of(leftover, self._clock, transport)
            return True
        self._queue = None
        if not self._silent:
            self._backoff.succeeded()
        self._not_before = self._clock.monotonic() + (self._backoff.failed() if self._silent else LOOK_EVERY)
        return False

    def close(self) -> None:
        """Leave what is not delivered to the next one."""
        self._leave()
        self._closed()

    def _leave(self) -> None:
        if self._current is not None:
            leftover, delivery = self._current
            self._current = None
            delivery.close()
            leftover.close()
