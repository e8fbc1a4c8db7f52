"""When silence is a hang. Pure, and of the standard library alone: the watchdog decides by it too.

The founding design's rules: the clock starts when the watch does; over the timeout the program
appears hung, once; the next heartbeat is its recovery.

Two things that are no hang: a pause that was announced, and time in which nobody ran. Whoever
watches sleeps with the machine, stands still with a stopped process and starves with a loaded one,
so when a check itself comes late, that lateness is forgiven; but for what the process was working
meanwhile: then it was not the machine that kept everybody waiting.
"""

from typing import Final, NamedTuple

_LATE: Final = 1.0
_NOT_LATE: Final = 0.1
"""Seconds: a check that is later than its interval, or than the first of these, was not merely slow."""


class Hung(NamedTuple):
    """No heartbeat for ``seconds``, what was forgiven among them; the last was at ``beat``."""

    seconds: float
    beat: float


class Recovered(NamedTuple):
    """A heartbeat again, at ``at``, after ``seconds`` of silence; the last before it was at ``beat``."""

    seconds: float
    beat: float
    at: float


class HeartbeatWatch:
    """Decides; waits for nothing.

    Args:
        now: the monotonic time, in seconds, at which the watch begins.
        timeout: seconds without a heartbeat that are a hang.
        check_interval: seconds between two checks.
        late: seconds by which a check is merely slow; by default as many as there are between two, and
            no more than one.
    """

    def __init__(self, now: float, timeout: float, check_interval: float, late: float | None = None) -> None:
        self.timeout = timeout
        self.check_interval = check_interval
        self._late = max(min(check_interval, _LATE), _NOT_LATE) if late is None else late
        self._begun = now
        self._beat = now
        self._forgiven = 0.0
        self._last_check = now
        self._last_worked = 0.0
        self._hung_since: float | None = None
        self._hung_beat = now
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
        self._begun = self._last_check = now
        self._forgiven = 0.0

    @property
    def paused(self) -> bool:
        """Whether silence is allowed."""
        return self._pauses > 0

    @property
    def hung(self) -> bool:
        """Whether a hang was told and has not ended."""
        return self._hung_since is not None

    def silent_for(self, now: float, beat: float) -> float:
        """Seconds of silence that count."""
        forgiven = self._forgiven if beat == self._beat else 0.0
        return now - max(beat, self._begun) - forgiven

    def nearly(self, now: float, beat: float) -> bool:
        """Whether the next check may find a hang: time to look at what the program is doing."""
        if self.paused or self.hung:
            return False
        return self.silent_for(now + self.check_interval, beat) > self.timeout

    def check(
        self, now: float, beat: float, *, worked: float = 0.0, telling: bool = True
    ) -> Hung | Recovered | None:
        """What there is to say.

        Args:
            now: the monotonic time.
            beat: that of the last heartbeat.
            worked: seconds of processor time that the process has used, of whatever beginning.
            telling: whether a hang is to be found; else another watcher is about to tell it.
        """
        late = now - self._last_check - self.check_interval - max(0.0, worked - self._last_worked)
        self._last_worked = worked
        if beat != self._beat:
            self._beat, self._forgiven = beat, 0.0
        if late > self._late:
            self._forgiven += late
        self._last_check = now
        if self._hung_since is not None:
            if beat <= self._hung_since:
                return None
            seconds = beat - self._hung_since
            self._hung_since = None
            return Recovered(seconds, self._hung_beat, beat)
        if self.paused or not telling or self.silent_for(now, beat) <= self.timeout:
            return None
        self._hung_since, self._hung_beat = max(beat, self._begun), beat
        return Hung(now - self._hung_since, beat)

    def held_up(self, now: float) -> None:
        """Until now the watcher was at work itself: that was no lateness."""
        self._last_check = now
