"""The hangs of a session: reports and recoveries in, spans out.

What must hold: one hang is one span, however many watchers report it and whoever is heard first.
What they say of it has one thing in common: the heartbeat before the silence, by the clock of the
program's machine. A report of a hang that is known brings no second span, but may bring better
evidence; a recovery of one that is not known is a hang too, whose report is on its way. A program
may have several monitors, and is hung while any of their hangs is open.

Clients of the founding design send these events by hand, with any data or none, and earlier ones say
nothing of that heartbeat: nothing here may fail for it, and the times must do.
"""

from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from datacat.model.fingerprint import (
    Frame,
    awaited_alone,
    blocked_frames,
    hang_fingerprint,
    is_idle,
    steady_frames,
)
from datacat.model.problems import Problem
from datacat.model.records import EMPTY, Event

Otherwise = TypeVar("Otherwise", float, None)

HangKind = Literal["blocked", "spinning", "unknown"]

_SLACK: Final = 1_000_000
"""Microseconds by which two watchers may differ in when something was."""

_REMEMBERED: Final = 16
"""Hangs that ended and are still remembered, for a watcher who is heard late."""

_MOST_OPEN: Final = 64

_LIBRARY: Final = ("/lib/python", "/site-packages/", "/dist-packages/", "/lib/threading.py", "<frozen")

_ENDED: Final = "a thread that has ended"
_IDLE: Final = "an idle event loop"


class Hang(Struct, frozen=True, kw_only=True):
    """One hang of one monitor; ``recovered`` is false while it lasts, and for ever if the program ended in it.

    ``beat`` is when the heartbeat before it was, in seconds of the monotonic clock of the program's machine.
    """

    number: int
    monitor: str
    kind: HangKind
    started_at: int
    ended_at: int | None = None
    seconds: float | None = None
    recovered: bool = False
    stacks: bool = False
    fingerprint: str
    place: str
    code: str = ""
    beat: float | None = None

    @property
    def title(self) -> str:
        """A sentence for people: ``blocked in Queue.get (worker.py:31): item = q.get()``."""
        word = "hung" if self.kind == "unknown" else self.kind
        code = f": {self.code}" if self.code else ""
        return f"{word} in {self.place}{code}" if self.place else f"{word}, no stacks known"


class Ledger:
    """A session's hangs while a batch is folded; ``rows`` is what has changed."""

    def __init__(self, recent: tuple[Hang, ...], count: int, seconds: float, first_at: int | None) -> None:
        self.recent = {hang.number: hang for hang in recent}
        self.count = count
        self.seconds = seconds
        self.first_at = first_at
        self.rows: dict[int, Problem] = {}

    @property
    def open(self) -> list[Hang]:
        """The hangs that last."""
        return [hang for hang in self.recent.values() if hang.ended_at is None]

    @property
    def unrecovered(self) -> list[Hang]:
        """The hangs that last, or lasted to the end of the program."""
        return [hang for hang in self.recent.values() if not hang.recovered]

    def report(self, event: Event, ended_at: int | None) -> None:
        """A watcher says that a monitor's heartbeat is overdue; ``ended_at`` is the program's end, if known."""
        data = read_object(event.data)
        found = _read(event, data)
        if ended_at is not None and found.started_at >= ended_at:
            return
        known = self._known(lambda hang: _same(hang, found, event.time))
        if known is not None:
            self._improve(known, found, event.data)
        else:
            self._add(found if ended_at is None else _ended(found, ended_at), event.data)

    def recovery(self, event: Event, ended_at: int | None) -> None:
        """A watcher says that a monitor's heart beats again; ``ended_at`` is the program's end, if known."""
        data = read_object(event.data)
        monitor, beat, time = _monitor(data), _beat(data), _beaten_at(event.time, data)
        seconds = _seconds(data.get("seconds_hung"), None)
        if ended_at is not None and time > ended_at:
            return
        if beat is None:
            for hang in self.unrecovered:
                if hang.monitor == monitor and hang.started_at <= time:
                    self._end(hang, time, seconds)
            return
        known = self._known(lambda hang: hang.monitor == monitor and hang.beat == beat)
        if known is None and seconds is not None:
            known = self._add(_untold(data, monitor, beat, time - int(min(seconds * 1e6, time))))
        if known is not None:
            self._end(known, time, seconds)

    def finish(self, time: int) -> None:
        """The program ended, and its hangs with it."""
        for hang in self.open:
            self._put(_ended(hang, time))

    def leave(self, time: int) -> None:
        """Another process goes on: what hung before that hangs no more."""
        for hang in self.open:
            if hang.started_at < time:
                self._end(hang, time, None)

    def _known(self, is_it: Callable[[Hang], bool]) -> Hang | None:
        return next((hang for hang in reversed(self.recent.values()) if is_it(hang)), None)

    def _add(self, found: Hang, evidence: Raw = EMPTY) -> Hang:
        self.count += 1
        hang = msgspec.structs.replace(found, number=self.count)
        self._put(hang, evidence)
        return hang

    def _end(self, hang: Hang, time: int, seconds: float | None) -> None:
        ended_at = max(time, hang.started_at)
        lasted = (ended_at - hang.started_at) / 1e6 if seconds is None else seconds
        if hang.recovered and hang.ended_at is not None and hang.seconds is not None:
            # By the word of another watcher; who began to watch in the middle of it knows of less.
            ended_at, lasted = min(ended_at, hang.ended_at), max(lasted, hang.seconds)
        self._put(msgspec.structs.replace(hang, ended_at=ended_at, seconds=lasted, recovered=True))

    def _improve(self, known: Hang, found: Hang, evidence: Raw) -> None:
        if found.started_at < known.started_at:
            known = msgspec.structs.replace(known, started_at=found.started_at)
            if known.ended_at is not None and not known.recovered:
                known = _ended(known, known.ended_at)
            self._put(known)
        kind = found.kind if known.kind == "unknown" else known.kind
        if found.stacks and not known.stacks:
            better = msgspec.structs.replace(
                known,
                kind=kind,
                stacks=True,
                fingerprint=found.fingerprint,
                place=found.place,
                code=found.code,
            )
            self._put(better, evidence)
        elif kind != known.kind:
            self._put(msgspec.structs.replace(known, kind=kind), EMPTY if known.stacks else evidence)

    def _put(self, hang: Hang, evidence: Raw = EMPTY) -> None:
        before = self.recent.get(hang.number)
        self.first_at = hang.started_at if self.first_at is None else min(self.first_at, hang.started_at)
        self.seconds += (hang.seconds or 0.0) - (before.seconds or 0.0 if before else 0.0)
        self.recent[hang.number] = hang
        row = self.rows.get(hang.number)
        self.rows[hang.number] = Problem(
            kind="hang",
            number=hang.number,
            started_at=hang.started_at,
            ended_at=hang.ended_at,
            seconds=hang.seconds,
            monitor=hang.monitor,
            detail=hang.kind,
            fingerprint=hang.fingerprint,
            title=hang.title,
            evidence=evidence or (row.evidence if row else EMPTY),
        )
        self._forget()

    def _forget(self) -> None:
        ended = [number for number, hang in self.recent.items() if hang.recovered]
        lasting = [number for number, hang in self.recent.items() if not hang.recovered]
        for number in (*ended[:-_REMEMBERED], *lasting[:-_MOST_OPEN]):
            del self.recent[number]


def read_object(data: Raw) -> dict[str, Any]:
    """An event's data; empty when it is no object."""
    try:
        value = msgspec.json.decode(data) if data else {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def place_of(frames: list[Frame], called: str = "") -> tuple[str, str]:
    """Where a thread stands: what the program called, its own line that called it, and that line's code.

    Args:
        frames: its stack, outermost frame first.
        called: what is to be said in place of the function that the program called.

    >>> place_of([Frame("/srv/worker.py", 31, "main", "item = q.get()"),
    ...           Frame("/usr/lib/python3.11/queue.py", 171, "Queue.get", "self.not_empty.wait()"),
    ...           Frame("/usr/lib/python3.11/threading.py", 320, "Condition.wait", "waiter.acquire()")])
    ('Queue.get (worker.py:31)', 'item = q.get()')
    """
    if not frames:
        return "", ""
    own = [index for index, frame in enumerate(frames) if not _of_a_library(frame)]
    index = own[-1] if own else len(frames) - 1
    line, below = frames[index], frames[min(index + 1, len(frames) - 1)]
    base = line.file.replace("\\", "/").rpartition("/")[2]
    return f"{called or below.function} ({base}:{line.line})"[:300], line.code[:300]


def _of_a_library(frame: Frame) -> bool:
    file = frame.file.replace("\\", "/").lower()
    return any(mark in file for mark in _LIBRARY)


def _read(event: Event, data: dict[str, Any]) -> Hang:
    frames = blocked_frames(data)
    kind = data.get("kind")
    standing = steady_frames(data) if kind == "spinning" else frames or steady_frames(data)
    awaited = awaited_alone(data)
    loop = _IDLE if is_idle(data) and not awaited else ""
    place, code = (_ENDED, "") if data.get("thread_ended") is True else place_of([*standing, *awaited], loop)
    return Hang(
        number=0,
        monitor=_monitor(data),
        kind=kind if kind in ("blocked", "spinning") else "unknown",
        started_at=_beaten_at(event.time, data),
        stacks=bool(standing),
        fingerprint=hang_fingerprint(data),
        place=place,
        code=code,
        beat=_beat(data),
    )


def _untold(data: dict[str, Any], monitor: str, beat: float, started_at: int) -> Hang:
    """The hang whose end is known before its report is."""
    return Hang(
        number=0,
        monitor=monitor,
        kind="unknown",
        started_at=started_at,
        fingerprint=hang_fingerprint(data),
        place="",
        beat=beat,
    )


def _same(known: Hang, found: Hang, told_at: int) -> bool:
    if known.monitor != found.monitor:
        return False
    if known.beat is not None and found.beat is not None:
        return known.beat == found.beat
    if not known.recovered:
        return told_at >= known.started_at - _SLACK
    # The next hang of this monitor begins with the recovery at the earliest; and who began to watch in the
    # middle of a silence dates its beginning later than who was there.
    lasted = int((known.seconds or 0.0) * 1e6)
    before_its_end = found.started_at < known.started_at + lasted - min(_SLACK, lasted // 2)
    together = found.started_at >= known.started_at - _SLACK
    reaches_into = told_at > known.started_at + _SLACK
    return before_its_end and (together or reaches_into)


def _ended(hang: Hang, time: int) -> Hang:
    end = max(time, hang.started_at)
    return msgspec.structs.replace(hang, ended_at=end, seconds=(end - hang.started_at) / 1e6)


def _beaten_at(time: int, data: dict[str, Any]) -> int:
    """When the heartbeat was that an event of this time speaks of."""
    since = _seconds(data.get("seconds_since_heartbeat"), 0.0)
    return time - int(min(since * 1e6, time))


def _beat(data: dict[str, Any]) -> float | None:
    return _seconds(data.get("heartbeat"), None)


def _monitor(data: dict[str, Any]) -> str:
    name = data.get("monitor")
    return name[:200] if isinstance(name, str) else "main"


def _seconds(value: Any, otherwise: Otherwise) -> float | Otherwise:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e12:
        return otherwise
    return float(value)
