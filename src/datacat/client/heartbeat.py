"""The heartbeat monitor: a thread inside the program that listens for its main loop."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from datacat.client import pulse, threads
from datacat.client.eventloop import tasks_in
from datacat.client.evidence import SAMPLES, Evidence, native_id
from datacat.client.pulse import Slot
from datacat.client.silence import HeartbeatWatch, Hung, Recovered
from datacat.client.text import text_of
from datacat.model.clock import Clock

_SOON: Final = 0.25
"""Seconds between two looks during a hang, at most."""


class HeartbeatMonitor:
    """A thread that asks a :class:`HeartbeatWatch` every ``check_interval`` seconds.

    Args:
        name: which loop of the program this is.
        slot: where its heartbeats are put; the loop is thought to run in the thread that makes the
            monitor, until another beats.
        clock: the monotonic time.
        log_event: told of hangs and recoveries.
        log_heartbeat: told, once a check, that there were beats.
        runs: whether what is watched runs at all; if not, its silence is no hang.
        describe: what else is to be said of the silent thread: by default the tasks of its event loop, where it runs one.
    """

    def __init__(
        self,
        name: str,
        slot: Slot,
        *,
        clock: Clock,
        log_event: Callable[..., None],
        log_heartbeat: Callable[[], None],
        runs: Callable[[], bool] = lambda: True,
        describe: Callable[[int], dict[str, Any]] = tasks_in,
    ) -> None:
        self.name = name
        self.slot = slot
        self._watch = HeartbeatWatch(slot[pulse.LAST_BEAT], slot[pulse.TIMEOUT], slot[pulse.CHECK_INTERVAL])
        self._evidence = Evidence()
        self._clock = clock
        self._log_event = log_event
        self._log_heartbeat = log_heartbeat
        self._runs = runs
        self._describe = describe
        self._seen = slot[pulse.LAST_BEAT]
        self._stopped = threading.Event()
        self._looking = threading.RLock()
        self._thread = threading.Thread(target=self._run, name=f"datacat-heartbeat-{name}", daemon=True)
        slot[pulse.THREAD] = threading.get_ident()
        slot[pulse.NATIVE_THREAD] = native_id(threading.get_ident())
        self._evidence.look(threading.get_ident())

    def start(self) -> None:
        """Begin to watch; where there can be no thread, that is said, and nobody watches."""
        try:
            threads.start(self._thread)
        except RuntimeError as error:
            self.slot[pulse.STATE] = pulse.FREE
            self._log_event(
                "monitor_unavailable", {"monitor": self.name, "reason": str(error)}, level="warning"
            )

    def stop(self) -> None:
        """Watch no longer; a recovery since the last look is told. Waits for nobody: a signal handler may call it."""
        self._stopped.set()
        self.slot[pulse.STATE] = pulse.FREE
        if self._looking.acquire(blocking=False):
            try:
                self._tell_recovery()
            finally:
                self._looking.release()

    def pause(self) -> None:
        """No hang from here on."""
        self._watch.pause()
        self.slot[pulse.STATE] = pulse.PAUSED

    def resume(self) -> None:
        """The clock starts anew, once every pause is over."""
        self._watch.resume(self._clock.monotonic())
        if not self._watch.paused and not self._stopped.is_set():
            self.slot[pulse.STATE] = pulse.WATCHED

    def sample(self) -> None:
        """Look at the thread that is silent."""
        self._evidence.sample(self._clock.monotonic(), int(self.slot[pulse.THREAD]))

    def check(self) -> None:
        """One look, and what follows from it."""
        with self._looking:
            if not self._stopped.is_set():
                self._check()
            if self._stopped.is_set():  # meanwhile, by somebody who would not wait
                self._tell_recovery()

    def _check(self) -> None:
        now, beat = self._clock.monotonic(), self.slot[pulse.LAST_BEAT]
        self.slot[pulse.LAST_CHECK] = now
        self._evidence.look(int(self.slot[pulse.THREAD]))
        if beat != self._seen:
            self._seen = beat
            self.slot[pulse.NATIVE_THREAD] = native_id(int(self.slot[pulse.THREAD]))
            self._log_heartbeat()
        if not self._runs() or self._evidence.being_debugged:
            self._watch.begin_anew(now)
        self._tell(self._watch.check(now, beat, worked=time.process_time()), now, beat)

    def _tell_recovery(self) -> None:
        now, beat = self._clock.monotonic(), self.slot[pulse.LAST_BEAT]
        self._tell(self._watch.check(now, beat, telling=False), now, beat)

    def _tell(self, found: Hung | Recovered | None, now: float, beat: float) -> None:
        if isinstance(found, Hung):
            self.slot[pulse.REPORTED] = beat
            evidence = self._evidence.describe(now, found.seconds, int(self.slot[pulse.THREAD]))
            described = self._described()
            # Where the program is busy, that took its time, and the event has the time of its telling.
            silent_for = found.seconds + self._clock.monotonic() - now
            data = {
                "seconds_since_heartbeat": round(silent_for, 3),
                "timeout": self._watch.timeout,
                "monitor": self.name,
                **evidence,
                **described,
                "heartbeat": found.beat,
            }
            self._log_event("application_appears_hung", data, level="error")
        elif isinstance(found, Recovered):
            self.slot[pulse.REPORTED] = 0
            data = {
                "seconds_hung": round(found.seconds, 3),
                "monitor": self.name,
                "seconds_since_heartbeat": round(self._clock.monotonic() - found.at, 3),
                "heartbeat": found.beat,
            }
            self._log_event("application_recovered", data, level="info")

    def _described(self) -> dict[str, Any]:
        try:
            return self._describe(int(self.slot[pulse.THREAD]))
        except Exception as error:  # noqa: BLE001  # what is described is the program's, and moves
            return {"not_described": text_of(error, repr)}

    def _run(self) -> None:
        while True:
            # The end of a hang is to be seen when it comes: a heartbeat is known until the next one.
            interval = (
                min(self._watch.check_interval, _SOON) if self._watch.hung else self._watch.check_interval
            )
            if self._watch.nearly(self._clock.monotonic(), self.slot[pulse.LAST_BEAT]):
                for _ in range(SAMPLES):
                    if self._stopped.wait(interval / SAMPLES):
                        return
                    self.sample()
            else:
                self._evidence.clear()
                if self._stopped.wait(interval):
                    return
            self.check()
