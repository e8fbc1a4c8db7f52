"""The heartbeat monitor: is the program's main loop alive?

The founding design's rules: the clock starts when the monitor does; it is checked every few
seconds; over the timeout the program appears hung, once, with the stack of every thread; the next
heartbeat is its recovery. A beat is one assignment, so it may stand in the tightest loop.

Two things that are no hang: a pause that was announced, and a machine that slept. The monitor
sleeps with the machine, so when a check itself comes late, that lateness is forgiven.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from datacat.client.stacks import all_stacks
from datacat.model.clock import Clock

_LATE: Final = 2.0
"""A check this many intervals late was not merely slow: the machine slept, or the process stood."""


class Hung(Struct, frozen=True):
    """No heartbeat for ``seconds``."""

    seconds: float


class Recovered(Struct, frozen=True):
    """A heartbeat again, ``seconds`` after the one before the hang."""

    seconds: float


class HeartbeatWatch:
    """Decides; waits for nothing.

    Args:
        now: the monotonic time, in seconds, at which the watch begins.
        timeout: seconds without a heartbeat that are a hang.
        check_interval: seconds between two checks.
    """

    def __init__(self, now: float, timeout: float, check_interval: float) -> None:
        self.timeout = timeout
        self.check_interval = check_interval
        self.last_beat = now
        self._counted_from = now
        self._last_check = now
        self._hung_since: float | None = None
        self._paused = False

    def pause(self) -> None:
        """No hang from here on."""
        self._paused = True

    def resume(self, now: float) -> None:
        """The clock starts anew."""
        self._paused = False
        self._counted_from = self._last_check = now

    def check(self, now: float) -> Hung | Recovered | None:
        """What there is to say at ``now``."""
        late = now - self._last_check - self.check_interval
        if late > max(_LATE * self.check_interval, 1.0):
            self._counted_from = max(self._counted_from, self.last_beat) + late
        self._last_check = now
        if self._hung_since is not None:
            if self.last_beat <= self._hung_since:
                return None
            seconds = self.last_beat - self._hung_since
            self._hung_since = None
            return Recovered(seconds)
        since = max(self.last_beat, self._counted_from)
        if self._paused or now - since <= self.timeout:
            return None
        self._hung_since = since
        return Hung(now - since)


class HeartbeatMonitor:
    """A thread that asks a :class:`HeartbeatWatch` every ``check_interval`` seconds.

    Args:
        name: which loop of the program this is.
        clock: the monotonic time.
        log_event: told of hangs and recoveries.
        log_heartbeat: told, once a check, that there were beats.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float,
        check_interval: float,
        clock: Clock,
        log_event: Callable[..., None],
        log_heartbeat: Callable[[], None],
    ) -> None:
        self.name = name
        self.watch = HeartbeatWatch(clock.monotonic(), timeout, check_interval)
        self._clock = clock
        self._log_event = log_event
        self._log_heartbeat = log_heartbeat
        self._reported = self.watch.last_beat
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"datacat-heartbeat-{name}", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer; returns at once."""
        self._stopped.set()

    def check(self) -> None:
        """One look, and what follows from it."""
        found = self.watch.check(self._clock.monotonic())
        if isinstance(found, Hung):
            data: dict[str, Any] = {
                "seconds_since_heartbeat": round(found.seconds, 3),
                "timeout": self.watch.timeout,
                "monitor": self.name,
                "stacks": all_stacks(),
            }
            self._log_event("application_appears_hung", data, level="error")
        elif isinstance(found, Recovered):
            data = {"seconds_hung": round(found.seconds, 3), "monitor": self.name}
            self._log_event("application_recovered", data, level="info")
        if self.watch.last_beat != self._reported:
            self._reported = self.watch.last_beat
            self._log_heartbeat()

    def _run(self) -> None:
        while not self._stopped.wait(self.watch.check_interval):
            self.check()
