"""How much of the disk the journals of a machine take, all sessions together.

Each program takes its share in advance and asks again when half of it is used, so that no call
ever looks at the disk's state. Where the budget is used up, the oldest records go first: those that
dead programs left, then the program's own.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from datacat.client.journal_reader import ForeignJournal, JournalReader
from datacat.client.journal_root import leftover_folders, open_leftover, used_bytes
from datacat.model.clock import Clock

DEFAULT_BYTES: Final = 256 * 1024 * 1024
SMALLEST_BYTES: Final = 1024 * 1024
_SHARES: Final = 8

_VAIN: Final = 30.0
"""Seconds until leftovers that had nothing to give are looked at again: to look is to read all of them."""


class Budget:
    """The budget of the journals under one root.

    Args:
        root: where they all are.
        max_bytes: what they may take together.
        drop_first: the kinds of record that are given up before all others, in this order.
        clock: when a loss is told.
    """

    def __init__(self, root: Path, max_bytes: int, drop_first: Sequence[str], clock: Clock) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._drop_first = drop_first
        self._clock = clock
        self.share = max_bytes // _SHARES
        self._vain_until = 0.0
        self._full_at: int | None = None

    def room(self, left: int, own: JournalReader, after: int) -> int:
        """Bytes that a program may take beyond the ``left`` that it has; makes room where there is none.

        Args:
            left: what it may still take.
            own: its journal, where the server has all up to the record ``after``.
            after: see ``own``.
        """
        vain = self._clock.monotonic() < self._vain_until
        # Where there was no room, only what the server takes, or others, can make some.
        if left >= self.share // 2 or (vain and after == self._full_at):
            return 0
        free = self._max_bytes - used_bytes(self._root) - left
        wanted = self.share - left
        if free < wanted and not vain:
            freed = self._sweep_leftovers(wanted - free)
            if not freed:
                self._vain_until = self._clock.monotonic() + _VAIN
            free += freed
        if free < wanted:
            free += own.sweep(wanted - free, self._drop_first, after)
        room = max(0, min(free, wanted))
        self._full_at = None if room else after
        return room

    def _sweep_leftovers(self, excess: int) -> int:
        freed = 0
        for folder in leftover_folders(self._root):
            if freed >= excess:
                break
            try:
                leftover = open_leftover(folder, self._clock)
            except ForeignJournal:
                continue  # set aside when it is to be shipped
            if leftover is not None:
                freed += leftover.reader.sweep(excess - freed, self._drop_first, max(0, leftover.first - 1))
                leftover.close()
        return freed
