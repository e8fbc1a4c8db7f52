"""What a process beside the program makes of what it sees. Pure, and of the standard library alone.

It speaks where the monitor inside the program cannot: while that one looks regularly, a hang is its
to tell, for it knows more. It does not look when the interpreter's lock is held by a call that never
gives it up, or when the process was stopped; the two are told apart by what the system says of the
process.
"""

from typing import Final, NamedTuple

from datacat.client import pulse
from datacat.client.procfs import STOPPED
from datacat.client.silence import HeartbeatWatch, Hung, Recovered

_LATE: Final = 1.0
"""Seconds by which a look may be late; where the timeout is short, no more than half of it."""

_PATIENCE: Final = 0.5
"""Seconds that the monitor inside may be late, at least, before it counts as unable to look."""


class Stopped(NamedTuple):
    """The process stands still: a signal stopped it, or who debugs it."""

    traced: bool


class Continued(NamedTuple):
    """It goes on, ``seconds`` later."""

    seconds: float


class Silent(NamedTuple):
    """A hang that the program itself cannot tell."""

    monitor: str
    timeout: float
    seconds: float
    beat: float


class Back(NamedTuple):
    """The end of a hang, at ``at``."""

    monitor: str
    seconds: float
    beat: float
    at: float


Finding = Stopped | Continued | Silent | Back


class Outside:
    """Watches one program.

    Args:
        now: the monotonic time, in seconds.
        interval: seconds between two looks.
    """

    def __init__(self, now: float, interval: float) -> None:
        self._interval = interval
        self._watches: dict[str, HeartbeatWatch] = {}
        self._stopped_at: float | None = None
        self._runs_since = now
        self._last_look = now

    def look(
        self, now: float, state: str, traced: bool, slots: dict[str, tuple[float, ...]]
    ) -> list[Finding]:
        """What there is to say.

        Args:
            now: the monotonic time.
            state: the process's state, see :func:`datacat.client.procfs.state`.
            traced: whether a debugger holds it.
            slots: its pulse, see :meth:`datacat.client.pulse.PulseReader.slots`.
        """
        found: list[Finding] = []
        if now - self._last_look > self._interval + 1:  # nobody ran: the machine slept, or is loaded
            self._runs_since = now
        self._last_look = now
        held = traced or state in STOPPED
        if held and self._stopped_at is None:
            self._stopped_at = now
            found.append(Stopped(traced))
        elif not held and self._stopped_at is not None:
            found.append(Continued(now - self._stopped_at))
            self._stopped_at = None
        if held or found:
            self._runs_since = now
        for name, slot in slots.items():
            found += self._listen(now, name, slot)
        for name in self._watches.keys() - slots.keys():
            # It was stopped, and another has taken its slot: the program runs.
            found += _back(name, self._watches.pop(name).check(now, now, telling=False))
        return found

    def held_up(self, now: float) -> None:
        """Telling takes a while: until now nobody looked, and that says nothing of the machine."""
        self._last_look = now
        for watch in self._watches.values():
            watch.held_up(now)

    @property
    def stopped(self) -> bool:
        """Whether the process stands still."""
        return self._stopped_at is not None

    def unable(self, now: float, slots: dict[str, tuple[float, ...]]) -> bool:
        """Whether the program cannot speak for itself now."""
        return self.stopped or any(self._blind(now, slot) for slot in slots.values())

    def silent_for(self, now: float, name: str, slot: tuple[float, ...]) -> float:
        """Seconds of silence that count."""
        watch = self._watches.get(name)
        return watch.silent_for(now, slot[pulse.LAST_BEAT]) if watch else 0.0

    def _blind(self, now: float, slot: tuple[float, ...]) -> bool:
        """Whether the monitor inside should have looked, and has not."""
        if slot[pulse.STATE] == pulse.FREE:
            return False
        interval, timeout = slot[pulse.CHECK_INTERVAL], slot[pulse.TIMEOUT]
        patience = min(interval + max(_PATIENCE, interval / 2), max(timeout, interval))
        return now - max(slot[pulse.LAST_CHECK], self._runs_since) > patience

    def _listen(self, now: float, name: str, slot: tuple[float, ...]) -> list[Finding]:
        found: list[Finding] = []
        watch = self._watches.get(name)
        beat = slot[pulse.LAST_BEAT]
        if watch is None or watch.timeout != slot[pulse.TIMEOUT]:
            if watch is not None:
                found += _back(name, watch.check(now, beat, telling=False))
            timeout = slot[pulse.TIMEOUT]
            watch = HeartbeatWatch(now, timeout, self._interval, late=min(_LATE, timeout / 2))
            self._watches[name] = watch
        if slot[pulse.STATE] == pulse.PAUSED or self._runs_since == now:
            watch.begin_anew(now)
        telling = self._blind(now, slot) and slot[pulse.REPORTED] != beat
        told = watch.check(now, beat, telling=telling)
        if isinstance(told, Hung):
            found.append(Silent(name, watch.timeout, told.seconds, told.beat))
        return found + _back(name, told)


def untold(slots: dict[str, tuple[float, ...]]) -> list[Back]:
    """The ends of hangs that the program has told, and whose ends it could not any more."""
    return [
        Back(name, slot[pulse.LAST_BEAT] - reported, reported, slot[pulse.LAST_BEAT])
        for name, slot in slots.items()
        if slot[pulse.LAST_BEAT] > (reported := slot[pulse.REPORTED]) > 0
    ]


def _back(name: str, told: Hung | Recovered | None) -> list[Finding]:
    return [Back(name, *told)] if isinstance(told, Recovered) else []
