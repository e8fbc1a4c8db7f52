"""Where records wait in memory: when there is no journal, or none can be written just now.

Over ``max_bytes`` the oldest records of the kinds in ``drop_first`` go first, then the oldest of
all; never a start, an exit, an end or what is being sent at the moment. Its caller holds the lock.
"""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

from datacat.client.backlog import KEPT, Entry, without
from datacat.model.clock import Clock

DROP_FIRST: Final = ("metric",)

_OVERHEAD: Final = 200
"""What an entry weighs beside its line, in bytes: the objects that hold it."""

_SWEEP_TO: Final = 0.9
"""Dropping goes on to this part of the limit, so that it is a rare sweep and not a daily chore."""


class MemoryStage:
    """A bounded queue of entries, oldest first.

    Args:
        clock: when a loss is told.
        max_bytes: the most memory that waiting records may take.
        drop_first: the kinds that are given up before all others, in this order.
    """

    def __init__(self, clock: Clock, max_bytes: int, drop_first: Sequence[str] = DROP_FIRST) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._drop_first = drop_first
        self._entries: deque[Entry] = deque()
        self._in_flight = 0
        self._bytes = 0
        self.dropped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    def append(self, entry: Entry) -> None:
        """Add the newest entry."""
        self._entries.append(entry)
        self._bytes += _cost(entry)
        if self._bytes > self._max_bytes:
            self._sweep()

    def popleft(self) -> Entry:
        """Take the oldest entry out."""
        entry = self._entries.popleft()
        self._bytes -= _cost(entry)
        return entry

    def appendleft(self, entry: Entry) -> None:
        """Put the oldest entry back."""
        self._entries.appendleft(entry)
        self._bytes += _cost(entry)

    def read(self, after: int, max_bytes: int, max_records: int) -> list[Entry]:
        """The oldest entries above ``after``; they are not dropped until the next read or release."""
        chosen: list[Entry] = []
        size = 0
        for entry in self._entries:
            if chosen and (size + len(entry.line) > max_bytes or len(chosen) == max_records):
                break
            if entry.seq > after:
                chosen.append(entry)
                size += len(entry.line)
        self._in_flight = chosen[-1].seq if chosen else 0
        return chosen

    def release(self, last_seq: int) -> None:
        """Let go of everything up to ``last_seq``."""
        while self._entries and self._entries[0].seq <= last_seq:
            self.popleft()
        self._in_flight = 0

    def _sweep(self) -> None:
        target = int(self._max_bytes * _SWEEP_TO)
        for kind in (*self._drop_first, None):
            while (excess := self._bytes - target) > 0:
                doomed = self._oldest(excess, kind)
                if not doomed:
                    break
                self._give_up(doomed)
                # Records that stand alone each leave a loss record as large as themselves.
                if kind and self._bytes - target > excess // 2:
                    break

    def _oldest(self, size: int, kind: str | None) -> set[int]:
        """The numbers of the oldest records that may go, up to ``size`` bytes of them."""
        doomed: set[int] = set()
        for entry in self._entries:
            if size <= 0:
                break
            may_go = entry.kind == kind if kind else entry.kind not in KEPT
            if may_go and entry.seq > self._in_flight:
                doomed.add(entry.seq)
                size -= _cost(entry)
        return doomed

    def _give_up(self, doomed: set[int]) -> None:
        in_flight = [entry for entry in self._entries if entry.seq <= self._in_flight]
        others = [entry for entry in self._entries if entry.seq > self._in_flight]
        self.dropped.update(entry.kind for entry in others if entry.seq in doomed)
        self._entries = deque(in_flight + without(others, doomed, self._clock, "the buffer was full"))
        self._bytes = sum(map(_cost, self._entries))


def _cost(entry: Entry) -> int:
    return len(entry.line) + _OVERHEAD
