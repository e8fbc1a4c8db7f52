"""The heartbeat monitors of a session, by name."""

from collections.abc import Callable
from typing import Any

from datacat.client import pulse
from datacat.client.arguments import check_name, check_positive
from datacat.client.eventloop import tasks_in
from datacat.client.heartbeat import HeartbeatMonitor
from datacat.client.pulse import Pulse, Slot
from datacat.model.clock import Clock


class Monitors:
    """Several loops of one program, each with a name of its own.

    Args:
        pulse: where the heartbeats are put.
        clock: the monotonic time.
        log_event: told of hangs and recoveries.
        log_heartbeat: told, once a check, that there were beats.
    """

    def __init__(
        self, pulse: Pulse, clock: Clock, log_event: Callable[..., None], log_heartbeat: Callable[[], None]
    ) -> None:
        self.slots: dict[str, Slot] = {}
        self._pulse = pulse
        self._clock = clock
        self._log_event = log_event
        self._log_heartbeat = log_heartbeat
        self._monitors: dict[str, HeartbeatMonitor] = {}

    def start(
        self,
        name: str,
        timeout: float,
        check_interval: float,
        runs: Callable[[], bool] = lambda: True,
        describe: Callable[[int], dict[str, Any]] = tasks_in,
    ) -> None:
        """Watch ``name``, anew if it is watched already; see :class:`HeartbeatMonitor`."""
        check_positive(timeout, "timeout")
        check_positive(check_interval, "check_interval")
        check_name(name)
        self.stop(name, alive=True)
        monitor = HeartbeatMonitor(
            name,
            self._pulse.slot(name, self._clock.monotonic(), timeout, check_interval),
            clock=self._clock,
            log_event=self._log_event,
            log_heartbeat=self._log_heartbeat,
            runs=runs,
            describe=describe,
        )
        self._monitors[name] = monitor
        self.slots[name] = monitor.slot
        monitor.start()

    def stop(self, name: str | None = None, *, alive: bool = False) -> None:
        """Stop one monitor, or all; ``alive``, that is a heartbeat, and ends the hang that there may be."""
        for each in [name] if name else list(self._monitors):
            self.slots.pop(each, None)
            if monitor := self._monitors.pop(each, None):
                if alive:
                    monitor.slot[pulse.LAST_BEAT] = self._clock.monotonic()
                monitor.stop()

    def named(self, name: str | None) -> list[HeartbeatMonitor]:
        """One monitor, or all."""
        return [each for each in list(self._monitors.values()) if name in (None, each.name)]
