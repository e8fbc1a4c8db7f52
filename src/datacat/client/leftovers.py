"""Delivers what dead programs of this machine left in their journals, oldest session first."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from datacat.client import threads
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
        base=leftover.about.base,
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
    """Ships leftovers in a thread of its own: a server that does not answer, or a long journal, holds up nothing else.

    Args:
        root: where the journals are.
        clock: the time.
        make_transport: a way to a server's URL, for what an origin wrote.
        backoff: how long to wait until what a server did not take is tried again.
    """

    def __init__(
        self,
        root: Path,
        clock: Clock,
        make_transport: Callable[[str, str], Transport],
        backoff: Backoff | None = None,
    ) -> None:
        self._root = root
        self._clock = clock
        self._make_transport = make_transport
        self._backoff = backoff or Backoff()
        self._turn = threading.Lock()
        """Held by whoever asks for a round, and to end: nobody asks in vain."""
        self._asked = False
        self._closing = False
        self._once_done = False
        self._over = False
        self._refused: set[Path] = set()
        """What its server will not take, for whoever comes with another key."""
        self._wanted = threading.Event()

    def start(self) -> None:
        """Begin; where there can be no thread, what is left stays where it is."""
        try:
            threads.start(threading.Thread(target=self._run, name="datacat-leftovers", daemon=True))
        except RuntimeError:
            self._over = True

    def ask(self) -> bool:
        """Have what is left by now tried before this ends, when it is time; False where it ends, or has ended."""
        with self._turn:
            self._asked = True
            return not (self._closing or self._over)

    def close(self, *, once_done: bool = False) -> None:
        """End after the batch under way; ``once_done``: as soon as all is delivered that is left by now, tried at once."""
        with self._turn:
            self._asked = True
            self._closing = not once_done
            self._once_done = once_done
        self._wanted.set()

    def _run(self) -> None:
        while True:
            self._wanted.clear()
            self._asked = False
            delivered = self._round()
            with self._turn:
                self._over = self._closing or (self._once_done and delivered and not self._asked)
            if self._over:
                return
            if not delivered:
                self._wanted.wait(self._backoff.failed())
                continue
            self._backoff.succeeded()
            if not self._once_done:
                self._wanted.wait(LOOK_EVERY)

    def _round(self) -> bool:
        """Deliver what can be delivered; whether nothing is left that may be taken later."""
        silent: set[str] = set()
        try:
            for leftover in leftovers(self._root, self._clock, logger.warning):
                if self._closing:
                    leftover.close()
                    break
                # Others may be for a server that is there: one that never will be again must not stand before them.
                if leftover.server in silent or leftover.folder in self._refused:
                    leftover.close()
                elif not self._deliver(leftover):
                    silent.add(leftover.server)
        except Exception as error:  # noqa: BLE001  # a disk, or the program's logging: the next round goes on
            with contextlib.suppress(Exception):
                logger.warning("datacat: shipping what was left failed: %r", error)
            return False
        return not silent

    def _deliver(self, leftover: Leftover) -> bool:
        """Deliver one; False when its server took nothing, whatever it may be."""
        transport = self._make_transport(leftover.about.url, leftover.about.origin)
        try:
            delivery = delivery_of(leftover, self._clock, transport)
            while (step := delivery.step()) is Step.SENT and not self._closing:
                pass
        except ForeignJournal as error:
            leftover.close()
            logger.warning("%s; it is kept in %s", error, set_aside(leftover.folder))
            return True
        else:
            if step is Step.NOTHING:
                leftover.remove()
            elif delivery.refused:
                self._refused.add(leftover.folder)
                logger.warning(
                    "datacat: %s; what is refused is kept in %s", delivery.last_error, leftover.folder
                )
            return delivery.refused or step is not Step.FAILED
        finally:
            transport.close()
            leftover.close()
