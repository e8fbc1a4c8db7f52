"""What was told last, bounded: pure."""

from typing import Final

from msgspec import Struct

from datacat.query.news import Filter

MOST_HELD: Final = 10_000
"""Messages in the ring."""
MOST_HELD_BYTES: Final = 16 * 1024 * 1024


class Item(Struct, frozen=True, gc=False):
    """A message as it travels, and whom it concerns: readers of ``only``, or all whose filters take it."""

    data: bytes
    kind: str
    level: int = 0
    session: "tuple[str | None, str | None, str | None] | None" = None
    only: Filter | None = None


class Ring:
    """The last messages, numbered from 1 without a gap; the oldest go when there are too many, or too many bytes.

    ``first`` is the number of the oldest that is held, ``last`` that of the newest; ``first`` is ``last + 1`` when
    none is held.
    """

    def __init__(self, most: int = MOST_HELD, most_bytes: int = MOST_HELD_BYTES) -> None:
        self._slots: list[Item | None] = [None] * most
        self._most_bytes = most_bytes
        self.bytes = 0
        self.first = 1
        self.last = 0

    def __getitem__(self, number: int) -> Item:
        """The message numbered ``number``, which must be held."""
        item = self._slots[number % len(self._slots)]
        assert item is not None
        return item

    def append(self, item: Item) -> None:
        """Hold one more; the newest is held whatever it weighs."""
        self.last += 1
        self.bytes += len(item.data)
        while self.first < self.last and (
            self.last - self.first >= len(self._slots) or self.bytes > self._most_bytes
        ):
            self._drop()
        self._slots[self.last % len(self._slots)] = item

    def clear(self) -> None:
        """Hold none; the numbers go on."""
        while self.first <= self.last:
            self._drop()

    def _drop(self) -> None:
        self.bytes -= len(self[self.first].data)
        self._slots[self.first % len(self._slots)] = None
        self.first += 1
