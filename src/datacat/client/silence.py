"""When silence is a hang. Pure, and of the standard library alone: the watchdog decides by it too.

The founding design's rules: the clock starts when the watch does; over the timeout the program
appears hung, once; the next heartbeat is its recovery.

Two things that are no hang: a pause that was announced, and time in which nobody ran. Whoever
watches sleeps with the machine, stands still with a stopped process and starves with a loaded one,
so when a check itself comes late, that lateness is forgiven.
"""

from typing import Final, NamedTuple

_LATE: Final = 1.0
_NOT_LATE: Final = 0.1
"""Seconds: a check that is later than an interval, or than the first of these, was not merely slow."""


class Hung(NamedTuple):
    """No heartbeat for ``seconds``."""

    seconds: float


class Recovered(NamedTuple):
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
        self._counted_from = now
        self._last_check = now
        self._hung_since: float | None = None
        self._pauses = 0

    def pause(self) -> None:
        """No hang from here on."""
        self._pauses += 1

    def resume(self, now: float) -> None:
        """The clock starts anew, once every pause is over."""
        self._pauses = max(0, self._pauses - 1)
        self.begin_anew(now)

    def begin_anew(self, now: float) -> None:
        """Whatever was silence until now is none."""
        self._counted_from = self._last_check = now

    @property
    def paused(self) -> bool:
        """Whether silence is allowed."""
        return self._pauses > 0

    @property
    def hung(self) -> bool:
        """Whether a hang was told and has not ended."""
        return self._hung_since is not None

    def silent_since(self, beat: float) -> float:
        """When the silence that counts began."""
        return max(beat, self._counted_from)

    def nearly(self, now: float, beat: float) -> bool:
        """Whether the next check may find a hang: time to look at what the program is doing."""
        if self.paused or self.hung:
            return False
        return now + self.check_interval - self.silent_since(beat) > self.timeout

    def check(self, now: float, beat: float, *, telling: bool = True) -> Hung | Recovered | None:
        """What there is to say at ``now``, the last heartbeat being ``beat``.

        Without ``telling`` no hang is found: another watcher is about to tell it.
        """
        late = now - self._last_check - self.check_interval
        if late > max(min(self.check_interval, _LATE), _NOT_LATE):
            self._counted_from = self.silent_since(beat) + late
        self._last_check = now
        if self._hung_since is not None:
            if beat <= self._hung_since:
                return None
            seconds = beat - self._hung_since
            self._hung_since = None
            return Recovered(seconds)
        since = self.silent_since(beat)
        if self.paused or not telling or now - since <= self.timeout:
            return None
        self._hung_since = since
        return Hung(now - since)
