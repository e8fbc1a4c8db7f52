"""What waits to be committed, and what goes into the next commit. Pure: it waits for nobody.

Group commit needs no timer: while one commit is being made durable, the next group gathers by
itself, and it goes as soon as the writer is free. An idle server commits at once, a busy one in
groups as large as its load.
"""

from collections import deque
from typing import Final, Generic, TypeVar

from datacat.model.errors import Busy

T = TypeVar("T")

MAX_GROUP_RECORDS: Final = 10_000
"""Enough that a commit's fixed cost is lost in it, few enough that nobody waits long."""

MAX_WAITING_RECORDS: Final = 100_000
MAX_WAITING_BYTES: Final = 128 * 1024 * 1024


class Batcher(Generic[T]):
    """A bounded queue that hands out groups.

    Args:
        max_waiting_records: more than this is refused.
        max_waiting_bytes: the same, in bytes of decoded bodies.
        max_group_records: how many records a group may have; a single larger item goes alone.
    """

    def __init__(
        self,
        *,
        max_waiting_records: int = MAX_WAITING_RECORDS,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        max_group_records: int = MAX_GROUP_RECORDS,
    ) -> None:
        self._max_records = max_waiting_records
        self._max_bytes = max_waiting_bytes
        self._max_group = max_group_records
        self._waiting: deque[tuple[T, int, int]] = deque()
        self.records = 0
        self.bytes = 0

    def offer(self, item: T, *, records: int, size: int) -> None:
        """Queue ``item``, which brings ``records`` records in ``size`` bytes.

        Raises:
            Busy: there is no room; an empty queue has room for anything.
        """
        full = self.records + records > self._max_records or self.bytes + size > self._max_bytes
        if full and self._waiting:
            raise Busy(f"{self.records} records wait to be committed already: send again in a moment")
        self._waiting.append((item, records, size))
        self.records += records
        self.bytes += size

    def take(self) -> list[T]:
        """The next group, oldest first; empty when nothing waits."""
        group: list[T] = []
        room = self._max_group
        while self._waiting and (not group or self._waiting[0][1] <= room):
            item, records, size = self._waiting.popleft()
            group.append(item)
            room -= records
            self.records -= records
            self.bytes -= size
        return group
