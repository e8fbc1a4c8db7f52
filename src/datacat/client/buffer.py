"""Where records wait until the server has them.

What must hold:

- **Adding never blocks and never deadlocks**, whoever calls: many threads, a signal handler or a
  ``__del__`` in the middle of another add. A call puts its record into ``_incoming``, which one
  atomic step of the interpreter does, and then tries the lock without waiting. Whoever has the
  lock moves everybody's records on; a call that finds it taken has nothing left to do.
- **One order, no gaps.** Records are numbered as they are moved on, so numbers follow the order
  of ``_incoming``. What is dropped leaves a loss record over exactly its numbers.
- **Bounded.** Over ``max_bytes`` the oldest metrics go first, then the oldest of all; never a
  start, an exit, an end or what is being sent at the moment.
"""

import threading
from collections import Counter, deque
from typing import Final, Protocol

from msgspec import Struct

from datacat.model.clock import Clock
from datacat.model.records import Loss
from datacat.wire.codec import encode

KEPT: Final = frozenset({"start", "exit", "end", "loss"})
_OVERHEAD: Final = 200
"""What an entry weighs beside its line, in bytes: the objects that hold it."""

_SWEEP_TO: Final = 0.9
"""Dropping goes on to this part of the limit, so that it is a rare sweep and not a daily chore."""


class Entry(Struct, gc=False):
    """A numbered line; of a loss, ``first`` is the first number it covers."""

    first: int
    seq: int
    kind: str
    line: bytes
    counts: dict[str, int] | None = None


class Chunk(Struct, frozen=True):
    """Lines to send, in order."""

    entries: list[Entry]

    @property
    def body(self) -> bytes:
        """The lines as NDJSON."""
        return b"\n".join([entry.line for entry in self.entries])


class Buffer(Protocol):
    """What the shipper and the session need of a buffer."""

    def append(self, kind: str, body: bytes) -> None:
        """Add an encoded record without its number; never blocks."""
        ...

    def take(self, max_bytes: int, max_records: int) -> Chunk | None:
        """The oldest lines, which stay until acknowledged; None when nothing waits."""
        ...

    def acknowledge(self, last_seq: int) -> None:
        """Let go of everything up to ``last_seq``: the server has it."""
        ...

    def go_back(self, last_seq: int) -> None:
        """The server has no more than ``last_seq``: make what is next follow it without a gap."""
        ...

    def drop(self, entry: Entry, reason: str) -> None:
        """Give one record up; a loss record takes its place."""
        ...

    @property
    def waiting(self) -> bool:
        """Whether anything is not yet acknowledged."""
        ...

    @property
    def dropped(self) -> dict[str, int]:
        """How many records were given up, by kind."""
        ...


class MemoryBuffer:
    """A buffer that lives and dies with the process.

    Args:
        clock: when a loss is told.
        max_bytes: the most memory that waiting records may take.
    """

    def __init__(self, clock: Clock, max_bytes: int) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._incoming: deque[tuple[str, bytes]] = deque()
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self._in_flight = 0
        self._seq = 0
        self._bytes = 0
        self._start = b""
        self._dropped: Counter[str] = Counter()

    def append(self, kind: str, body: bytes) -> None:
        """Add a record; see the module."""
        self._incoming.append((kind, body))
        while self._incoming and self._lock.acquire(blocking=False):
            try:
                self._move_on()
            finally:
                self._lock.release()

    def take(self, max_bytes: int, max_records: int) -> Chunk | None:
        """The oldest lines; they cannot be dropped until the next acknowledge, drop or take."""
        with self._lock:
            self._move_on()
            chosen: list[Entry] = []
            size = 0
            for entry in self._entries:
                if chosen and (size + len(entry.line) > max_bytes or len(chosen) == max_records):
                    break
                chosen.append(entry)
                size += len(entry.line) + 1
            self._in_flight = chosen[-1].seq if chosen else 0
        return Chunk(chosen) if chosen else None

    def acknowledge(self, last_seq: int) -> None:
        """Let go of everything up to ``last_seq``."""
        with self._lock:
            while self._entries and self._entries[0].seq <= last_seq:
                self._bytes -= _cost(self._entries.popleft())
            self._in_flight = 0

    def go_back(self, last_seq: int) -> None:
        """Make what is next follow ``last_seq``.

        What the server lacks and we no longer have is told as lost. A server that knows nothing of
        the session is given its start again, as number 1.
        """
        with self._lock:
            self._in_flight = 0
            first = self._entries[0].first if self._entries else self._seq + 1
            ahead: list[Entry] = []
            if last_seq == 0 and first > 1:
                ahead.append(Entry(1, 1, "start", _numbered(1, self._start)))
                last_seq = 1
            if last_seq + 1 < first:
                ahead.append(self._loss(last_seq + 1, first - 1, "the server no longer has them", {}))
            for entry in reversed(ahead):
                self._entries.appendleft(entry)
                self._bytes += _cost(entry)

    def drop(self, entry: Entry, reason: str) -> None:
        """Give one record up."""
        with self._lock:
            self._dropped[entry.kind] += 1
            index = self._entries.index(entry)
            loss = self._loss(entry.first, entry.seq, reason, {entry.kind: 1})
            self._bytes += _cost(loss) - _cost(entry)
            self._entries[index] = loss
            self._in_flight = 0

    @property
    def waiting(self) -> bool:
        """Whether anything is not yet acknowledged."""
        return bool(self._incoming or self._entries)

    @property
    def dropped(self) -> dict[str, int]:
        """How many records were given up, by kind."""
        return dict(self._dropped)

    def _move_on(self) -> None:
        incoming, entries = self._incoming, self._entries
        while incoming:
            kind, body = incoming.popleft()
            self._seq += 1
            if kind == "start" and not self._start:
                self._start = body
            entry = Entry(self._seq, self._seq, kind, _numbered(self._seq, body))
            entries.append(entry)
            self._bytes += _cost(entry)
        if self._bytes > self._max_bytes:
            self._sweep()

    def _sweep(self) -> None:
        target = int(self._max_bytes * _SWEEP_TO)
        for only_metrics in (True, False):
            while (excess := self._bytes - target) > 0:
                doomed = self._oldest(excess, only_metrics=only_metrics)
                if not doomed:
                    break
                self._replace(doomed)
                # Metrics that stand alone each leave a loss record as large as themselves.
                if only_metrics and self._bytes - target > excess // 2:
                    break

    def _oldest(self, size: int, *, only_metrics: bool) -> set[int]:
        """The numbers of the oldest records that may go, up to ``size`` bytes of them."""
        doomed: set[int] = set()
        for entry in self._entries:
            if size <= 0:
                break
            may_go = entry.kind == "metric" if only_metrics else entry.kind not in KEPT
            if may_go and entry.seq > self._in_flight:
                doomed.add(entry.seq)
                size -= _cost(entry)
        return doomed

    def _replace(self, doomed: set[int]) -> None:
        """Put one loss record in the place of each run of neighbours that go, or went before."""
        kept: deque[Entry] = deque()
        for entry in self._entries:
            goes = entry.seq in doomed
            if goes:
                self._dropped[entry.kind] += 1
            lost_before = entry.kind == "loss" and entry.seq > self._in_flight
            if not goes and not lost_before:
                kept.append(entry)
                continue
            counts = Counter({entry.kind: 1} if goes else entry.counts or {})
            first = entry.first
            if kept and kept[-1].kind == "loss" and kept[-1].seq > self._in_flight:
                neighbour = kept.pop()
                first = neighbour.first
                counts.update(neighbour.counts or {})
            kept.append(self._loss(first, entry.seq, "the buffer was full", dict(counts)))
        self._entries = kept
        self._bytes = sum(map(_cost, kept))

    def _loss(self, first: int, seq: int, reason: str, counts: dict[str, int]) -> Entry:
        record = Loss(seq=seq, time=self._clock.now(), first=first, reason=reason, counts=counts)
        return Entry(first, seq, "loss", encode(record), counts)


def _cost(entry: Entry) -> int:
    return len(entry.line) + _OVERHEAD


def _numbered(seq: int, body: bytes) -> bytes:
    return b'{"seq":%d,' % seq + body[1:]
