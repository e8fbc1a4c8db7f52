"""How many records a second a key may bring: a token bucket each; pure.

A batch goes through whole where anything is left in the bucket, and what it took too much is owed: so a
batch larger than a second's worth is slowed down, not refused for ever.
"""

from math import ceil

from datacat.model.errors import RateLimited


class Bucket:
    """``rate`` records a second, and as many at once after a second of rest.

    >>> bucket = Bucket(10, now=0.0)
    >>> bucket.take(25, now=0.0)
    >>> bucket.take(1, now=1.0)
    Traceback (most recent call last):
    ...
    datacat.model.errors.RateLimited: more than the 10 records a second of this key: send again in 1 s
    >>> bucket.take(1, now=1.6)
    """

    def __init__(self, rate: int, now: float) -> None:
        self.rate = rate
        self._left = float(rate)
        self._at = now

    def take(self, records: int, now: float) -> None:
        """Let ``records`` through at ``now``, in seconds.

        Raises:
            RateLimited: with the seconds until something is left again.
        """
        self._left = min(self.rate, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left <= 0:
            wait = ceil(-self._left / self.rate) or 1
            raise RateLimited(
                f"more than the {self.rate:,} records a second of this key: send again in {wait} s",
                retry_after=wait,
            )
        self._left -= records


class Throttle:
    """The buckets of all keys that have a limit; ``refused`` counts the batches that were refused for it."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}
        self.refused = 0

    def take(self, key_id: str, rate: int, records: int, now: float) -> None:
        """As :meth:`Bucket.take`, from the key's own."""
        bucket = self._buckets.get(key_id)
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[key_id] = Bucket(rate, now)
        bucket.take(records, now)
