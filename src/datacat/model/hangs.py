"""The hangs of a session: reports and recoveries in, spans out.

What must hold: one hang is one span, however many watchers report it and whoever is heard first.
A report belongs to the open hang of its monitor; or to one that ended already, when it speaks of
the same beginning. It then brings no second span, but may bring better evidence. A program may
have several monitors, and is hung while any of their hangs is open.

Clients of the founding design send these events by hand, with any data or none; nothing here may
fail for it.
"""

from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, Struct

from datacat.model.fingerprint import Frame, blocked_frames, hang_fingerprint, steady_frames
from datacat.model.problems import Problem
from datacat.model.records import EMPTY, Event

HangKind = Literal["blocked", "spinning", "unknown"]

_SAME_BEGINNING: Final = 1_000_000
"""Microseconds by which two watchers may differ in when the last heartbeat was."""

_REMEMBERED: Final = 16
"""Hangs that ended and are still remembered, for a watcher who is heard late."""

_MOST_OPEN: Final = 64

_LIBRARY: Final = ("/lib/python", "/site-packages/", "/dist-packages/", "/lib/threading.py", "<frozen")


class Hang(Struct, frozen=True, kw_only=True):
    """One hang of one monitor; ``recovered`` is false while it lasts, and for ever if the program ended in it."""

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
        known = next(
            (each for each in reversed(self.recent.values()) if _same(each, found, event.time)), None
        )
        if known is not None:
            self._improve(known, found, event.data)
            return
        self.count += 1
        self.first_at = found.started_at if self.first_at is None else min(self.first_at, found.started_at)
        hang = msgspec.structs.replace(found, number=self.count)
        self._put(hang if ended_at is None else _ended(hang, ended_at), event.data)

    def recovery(self, event: Event) -> None:
        """A watcher says that a monitor's heart beats again."""
        data = read_object(event.data)
        monitor = _monitor(data)
        for hang in self.unrecovered:
            if hang.monitor == monitor and hang.started_at <= event.time:
                lasted = (event.time - hang.started_at) / 1e6
                seconds = _seconds(data.get("seconds_hung"), lasted)
                self._put(msgspec.structs.replace(hang, ended_at=event.time, seconds=seconds, recovered=True))

    def finish(self, time: int) -> None:
        """The program ended, and its hangs with it."""
        for hang in self.open:
            self._put(_ended(hang, time))

    def _improve(self, known: Hang, found: Hang, evidence: Raw) -> None:
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


def place_of(frames: list[Frame]) -> tuple[str, str]:
    """Where a thread stands: what the program called, its own line that called it, and that line's code.

    >>> place_of([Frame("/srv/worker.py", 31, "main", "item = q.get()"),
    ...           Frame("/usr/lib/python3.11/queue.py", 171, "Queue.get", "self.not_empty.wait()"),
    ...           Frame("/usr/lib/python3.11/threading.py", 320, "Condition.wait", "waiter.acquire()")])
    ('Queue.get (worker.py:31)', 'item = q.get()')
    """
    if not frames:
        return "", ""
    own = [index for index, frame in enumerate(frames) if not _of_a_library(frame)]
    index = own[-1] if own else len(frames) - 1
    line, called = frames[index], frames[min(index + 1, len(frames) - 1)]
    base = line.file.replace("\\", "/").rpartition("/")[2]
    return f"{called.function} ({base}:{line.line})"[:300], line.code[:300]


def _of_a_library(frame: Frame) -> bool:
    file = frame.file.replace("\\", "/").lower()
    return any(mark in file for mark in _LIBRARY)


def _read(event: Event, data: dict[str, Any]) -> Hang:
    frames = blocked_frames(data)
    kind = data.get("kind")
    silent = _seconds(data.get("seconds_since_heartbeat"), 0.0)
    standing = steady_frames(data) if kind == "spinning" else frames or steady_frames(data)
    place, code = place_of(standing)
    return Hang(
        number=0,
        monitor=_monitor(data),
        kind=kind if kind in ("blocked", "spinning") else "unknown",
        started_at=event.time - int(min(silent * 1e6, event.time)),
        stacks=bool(standing),
        fingerprint=hang_fingerprint(data),
        place=place,
        code=code,
    )


def _same(known: Hang, found: Hang, told_at: int) -> bool:
    if known.monitor != found.monitor:
        return False
    if known.ended_at is None:
        return True
    # The next hang of this monitor begins with the recovery at the earliest.
    middle = known.started_at + int((known.seconds or 0.0) * 500_000)
    # Who began to watch in the middle of a silence dates its beginning later than who was there.
    together = found.started_at >= known.started_at - _SAME_BEGINNING
    reached_into = told_at > known.started_at + _SAME_BEGINNING
    return found.started_at < middle and (together or reached_into)


def _ended(hang: Hang, time: int) -> Hang:
    end = max(time, hang.started_at)
    return msgspec.structs.replace(hang, ended_at=end, seconds=(end - hang.started_at) / 1e6)


def _monitor(data: dict[str, Any]) -> str:
    name = data.get("monitor")
    return name[:200] if isinstance(name, str) else "main"


def _seconds(value: Any, otherwise: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e12:
        return otherwise
    return float(value)
