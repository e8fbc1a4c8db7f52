"""The committer, as far as whoever asks may use it."""

from collections.abc import Callable

from datacat.ingest.admit import confined
from datacat.ingest.committer import Committer, Outcome
from datacat.ingest.throttle import Throttle
from datacat.model.clock import Clock
from datacat.model.errors import RateLimited
from datacat.model.keys import Grant
from datacat.model.records import Answer, Batch


class Door:
    """What one request is given to record with.

    Args:
        committer: what is behind it.
        grant: what the request may do.
        throttle: how much each key has brought.
        clock: the time.
    """

    def __init__(self, committer: Committer, grant: Grant, throttle: Throttle, clock: Clock) -> None:
        self._committer = committer
        self._grant = grant
        self._throttle = throttle
        self._clock = clock

    def now(self) -> int:
        """The time at which what comes in now was received, in microseconds since the epoch."""
        return self._clock.now()

    async def submit(self, batch: Batch, *, size: int) -> Answer:
        """As :meth:`datacat.ingest.committer.Committer.submit`.

        Raises:
            RateLimited: the key brings more than it may.
            KeyForbids: the session is of another product than the key.
        """
        return await self._committer.submit(self._admitted(batch), size=size)

    def offer(
        self, batch: Batch, size: int, answered: Callable[[Outcome], None], *, requests: int = 1
    ) -> None:
        """As :meth:`datacat.ingest.committer.Committer.offer`; raises what :meth:`submit` does before it waits."""
        self._committer.offer(self._admitted(batch), size, answered, requests=requests)

    def _admitted(self, batch: Batch) -> Batch:
        grant = self._grant
        if grant.key_id is not None and grant.records_per_second is not None:
            records = max(1, len(batch.records))
            try:
                self._throttle.take(grant.key_id, grant.records_per_second, records, self._clock.monotonic())
            except RateLimited:
                self._throttle.refused += 1
                raise
        return batch if grant.product is None else confined(batch, grant.product)
