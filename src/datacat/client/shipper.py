"""The background thread of a session.

It sends what waits, and keeps the journal in order.
"""

import logging
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Final

from datacat.client import threads
from datacat.client.backlog import Backlog
from datacat.client.backoff import LONGEST, Backoff
from datacat.client.buffer import Buffer
from datacat.client.delivery import Delivery, Step
from datacat.client.leftovers import LeftoverShipper
from datacat.client.text import text_of
from datacat.client.transport import Transport

logger = logging.getLogger("datacat.client")

_LINGER: Final = 2.0
"""Seconds for which the journal of a session that is over stays open when something was recorded late."""

SHIP_INTERVAL: Final = 0.2
"""Seconds between looks into the buffer. A look costs nothing; being woken by each record would
need a lock inside the program's own calls."""


class Phase(Enum):
    """How far a session is, to who ships it."""

    OPEN = "it goes on"
    ENDING = "it is over: once nothing waits, nothing is to stay on the disk"
    RESTING = "nothing waited, and nothing stayed"
    LATE = "something was recorded after that; more may come soon, so it rests a while later"
    LEFT = "what could not be delivered is in the journal, for whoever ships what was left"


class Shipper:
    """Ships one session's buffer.

    Args:
        session_id: whose records these are.
        buffer: what is shipped.
        backlog: the same, as the server is to see it.
        transport: how.
        backoff: how long to wait after a failure.
        claim: gives what ships what dead programs left, unless another session of the process does; None where
            nobody is to.
        contact_every: seconds after which the server is told that the program is there, when there
            was nothing else to send; None when no contact was promised.
        complain: told once, in a sentence, when the journal cannot be written.
        leaves: whether what cannot be delivered after :meth:`finish` is left in its journal, to whoever ships what
            is left.
        at_rest: told, in the thread, when it ends after :meth:`finish`.
    """

    def __init__(
        self,
        session_id: str,
        buffer: Buffer,
        backlog: Backlog,
        transport: Transport,
        backoff: Backoff | None = None,
        claim: Callable[[], LeftoverShipper | None] | None = None,
        contact_every: float | None = None,
        complain: Callable[[str], None] = lambda _: None,
        leaves: bool = False,
        at_rest: Callable[[], None] = lambda: None,
    ) -> None:
        self._contact_every = contact_every
        self._last_contact = time.monotonic()
        self._complain = complain
        self._at_rest = at_rest
        self._buffer = buffer
        self.delivery = Delivery(
            session_id, backlog, transport, backoff or Backoff(longest=contact_every or LONGEST)
        )
        self._claim = claim
        self._leftovers: LeftoverShipper | None = None
        self._thread: threading.Thread | None = None
        self._wanted = False
        self._here = threading.RLock()
        """Held by whoever ships."""
        self._progress = threading.Condition()
        self._phase = Phase.OPEN
        self._leaves = leaves
        self._left = 0
        """The last record when the journal was left; what came later is ours again."""
        self._next_try = 0.0
        self._failing = False
        self._failures = 0

    def start(self) -> bool:
        """Begin to ship, or go on; False where there can be no thread: then what waits stays where it is."""
        with self._progress:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="datacat-shipper", daemon=True)
                try:
                    threads.start(self._thread)
                except RuntimeError:
                    self._thread = None
            return self._thread is not None

    def flush(self, timeout: float) -> bool:
        """Wait until everything recorded so far is with the server, at most ``timeout`` seconds."""
        return self._wait(timeout, patient=True)

    def finish(self, timeout: float) -> bool:
        """As :meth:`flush`, and leave nothing behind on the disk.

        Nothing is waited for when the server cannot be reached and the journal keeps what waits: it
        is delivered by the next program, or by ``datacat flush``.
        """
        self._contact_every = None
        with self._progress:
            if self._thread is None and not self.delivery.backlog.waiting:
                return True
            if self._is_left:
                return False
        self._phase = Phase.ENDING
        return self._wait(timeout, patient=False)

    def go_on(self) -> None:
        """As :meth:`finish` does, ship what was recorded after it or leave it, and end the thread; but wait for nothing.

        It is called in signal handlers, too, and waits for nobody.
        """
        ended_before = self._phase not in (Phase.OPEN, Phase.ENDING)
        self._phase = Phase.LATE if ended_before else Phase.ENDING
        self.start()

    def _wait(self, timeout: float, *, patient: bool) -> bool:
        deadline = time.monotonic() + timeout
        backlog = self.delivery.backlog
        target = self._buffer.last_seq
        if self._is_left or (patient and not backlog.waiting):
            return backlog.acknowledged >= target
        if not self.start():
            return self._ship_here(deadline, patient=patient)
        failures = self._failures
        self._next_try = 0.0
        self._call()
        with self._progress:
            while backlog.acknowledged < target or (not patient and self._is_about_to_rest):
                left = deadline - time.monotonic()
                if left <= 0 or not self._runs:
                    return False
                if not patient and self._failures > failures and self._buffer.safe:
                    return False
                self._progress.wait(min(left, 0.05))
        return True

    def _ship_here(self, deadline: float, *, patient: bool) -> bool:
        """Without a thread: at the end of the interpreter none can be started."""
        with self._here:
            while True:
                failures = self._failures
                self._next_try = 0.0
                self._turn()
                if not self.delivery.backlog.waiting:
                    return True
                if self._failures > failures and not patient and self._buffer.safe:
                    return False
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                time.sleep(min(max(self._next_try - time.monotonic(), 0.0), left))

    def _turn(self) -> None:
        """All that there is to do now."""
        try:
            if not self._is_left:
                self._keep_up()
                self._ship_all()
                self._keep_in_contact()
        except Exception as error:  # noqa: BLE001  # a codec half loaded, the program's logging: shipping goes on
            self.delivery.failed(f"shipping failed: {text_of(error, repr)}")
            self._pause()

    def _run(self) -> None:
        self._claim_leftovers()
        while True:
            self._wanted = False
            with self._here:
                self._turn()
            with self._progress:
                self._progress.notify_all()
                # What is recorded from here on starts another thread.
                if self._is_done:
                    self._close()
                    self._thread = None
                    break
            self._sleep()
        self._at_rest()

    @property
    def _runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def _is_over(self) -> bool:
        """Whether nothing is to be left behind; what comes late may come often, so that is not done each time."""
        if self._phase is Phase.LATE:
            return time.monotonic() - self._last_contact >= _LINGER
        return self._phase is not Phase.OPEN

    @property
    def _is_about_to_rest(self) -> bool:
        return self._phase is Phase.ENDING and not self.delivery.backlog.waiting

    @property
    def _is_left(self) -> bool:
        return self._phase is Phase.LEFT and self._left == self._buffer.last_seq

    @property
    def _is_done(self) -> bool:
        return self._is_left or (self._phase is Phase.RESTING and not self.delivery.backlog.waiting)

    def _sleep(self) -> None:
        """Until the next look, or somebody waits for one."""
        deadline = time.monotonic() + self._until_next_look()
        with self._progress:
            while not self._wanted and (left := deadline - time.monotonic()) > 0:
                self._progress.wait(left)

    def _call(self) -> None:
        """Have the thread look at once. The lock is a reentrant one, as a signal handler may do this too."""
        self._wanted = True
        with self._progress:
            self._progress.notify_all()

    def _until_next_look(self) -> float:
        """Seconds. A session that is over, and cannot be delivered now, is to cost its program nothing meanwhile."""
        pause = 0.0 if self._phase is Phase.OPEN else self._next_try - time.monotonic()
        return max(SHIP_INTERVAL, pause)

    def _close(self) -> None:
        self.delivery.close()
        if self._leftovers is not None:
            self._leftovers.close(once_done=self._is_left)
            self._leftovers = None

    def _keep_up(self) -> None:
        if complaint := self._buffer.keep_up(self.delivery.backlog.acknowledged):
            logger.warning("datacat: %s", complaint)
            self._complain(complaint)

    def _ship_all(self) -> None:
        """Send until nothing waits, or the server does not answer."""
        while time.monotonic() >= self._next_try:
            step = self.delivery.step()
            if step is Step.FAILED:
                self._pause()
                self._leave()
                return
            if self._failing:
                self._failing = False
                logger.info("datacat: the server answers again")
            if step is Step.SENT:
                self._last_contact = time.monotonic()
                self._keep_up()
            elif self._is_over and not self.delivery.backlog.waiting:
                self._buffer.discard(self.delivery.backlog.acknowledged)
                self._phase = Phase.RESTING
            with self._progress:
                self._progress.notify_all()
            if step is Step.NOTHING:
                return

    def _leave(self) -> None:
        """Of a session that is over and cannot be delivered, nothing is to run on and stay open in its program."""
        over = self._phase is not Phase.OPEN
        if over and self._leaves and (last := self._buffer.leave()) is not None:
            self._left = last
            self._phase = Phase.LEFT
            self._claim_leftovers()

    def _claim_leftovers(self) -> None:
        if self._leftovers is None and self._claim is not None and (leftovers := self._claim()) is not None:
            self._leftovers = leftovers
            leftovers.start()

    def _keep_in_contact(self) -> None:
        now, every = time.monotonic(), self._contact_every
        if every is None or self.delivery.backlog.waiting:
            return  # what waits will be contact, when the server can be asked again
        if now - self._last_contact > every:
            self._last_contact = now
            self.delivery.contact()

    def _pause(self) -> None:
        self._failures += 1
        self._next_try = time.monotonic() + self.delivery.wait
        if not self._failing:
            self._failing = True
            logger.warning("datacat: %s; records are kept and sent later", self.delivery.last_error)
