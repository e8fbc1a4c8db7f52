"""What waits to be committed, and what goes into the next commit. Pure: it waits for nobody.

While one commit is being made durable, the next group gathers by itself. What has just been answered
comes back as a rule: whoever sends one request after the other sends the next. So a small group waits for
as many requests as the last one had, but no longer than that commit took: else the senders would fall
into two halves that take turns, and each would wait for the other's commit before its own. Who sends alone
never waits, as the next request is all that is expected.
"""

from collections import deque
from typing import Final, Generic, TypeVar

from datacat.model.errors import Busy

T = TypeVar("T")

MAX_GROUP_RECORDS: Final = 10_000
"""Enough that a commit's fixed cost is lost in it, few enough that nobody waits long."""

ENOUGH_RECORDS: Final = 500
"""A group of so many waits for no more: a commit's fixed cost is that of some dozens."""

MAX_PAUSE: Final = 0.005
"""Seconds that a group waits for more at most."""

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
        self._waiting: deque[tuple[T, int, int, int]] = deque()
        self._expected = 0
        self._taken = 0
        self._until = 0.0
        self.requests = 0
        self.records = 0
        self.bytes = 0

    def offer(self, item: T, *, records: int, size: int, requests: int = 1) -> None:
        """Queue ``item``: ``requests`` requests, with ``records`` records in ``size`` bytes together.

        Raises:
            Busy: there is no room; an empty queue has room for anything.
        """
        full = self.records + records > self._max_records or self.bytes + size > self._max_bytes
        if full and self._waiting:
            raise Busy(f"{self.records} records wait to be committed already: send again in a moment")
        self._waiting.append((item, requests, records, size))
        self.requests += requests
        self.records += records
        self.bytes += size

    def take(self) -> list[T]:
        """The next group, oldest first; empty when nothing waits."""
        group: list[T] = []
        self._taken = 0
        room = self._max_group
        while self._waiting and (not group or self._waiting[0][2] <= room):
            item, requests, records, size = self._waiting.popleft()
            group.append(item)
            room -= records
            self.requests -= requests
            self._taken += requests
            self.records -= records
            self.bytes -= size
        return group

    def committed(self, seconds: float, now: float) -> None:
        """The group taken last took ``seconds``, until ``now`` of a clock that never goes back."""
        self._expected = self.requests + self._taken
        self._until = now + min(seconds, MAX_PAUSE)

    @property
    def ready(self) -> bool:
        """Whether all is there that the next group should wait for."""
        return self.requests >= self._expected or self.records >= ENOUGH_RECORDS

    def pause(self, now: float) -> float:
        """Seconds for which more should be waited for before the next group is taken; 0 when it should go."""
        return 0.0 if self.ready or not self._waiting else max(0.0, self._until - now)
