"""How reliable a program is, in the terms of release health.

The crash-free session rate is Sentry's: the share of all sessions that began in the time asked
for and did not crash (https://docs.sentry.io/product/releases/health/). The hang-free rate is
drawn the same way, with any hang in the place of a crash; the lost rate is the share of sessions
that are lost now, having promised contact. Sessions that still run are counted among all.
"""

from typing import Literal

from msgspec import Struct

from datacat.query.wilson import wilson_interval
from datacat.store.asked import Bucket, Dimension, Scope
from datacat.store.found import SessionCount
from datacat.store.port import Reader
from datacat.wire.timestamps import rfc3339

MAX_GROUPS = 10_000


class ReliabilityView(Struct, kw_only=True):
    """What became of the sessions that began in one bucket of time; each interval is Wilson's, of 95 %.

    ``bucket`` is the bucket's first moment (UTC; weeks begin on Monday), null when not asked for;
    so are ``product``, ``version`` and ``environment``. ``hang_seconds_per_hour`` is null when the
    sessions took no time.
    """

    bucket: str | None
    product: str | None
    version: str | None
    environment: str | None
    sessions: int
    crashed: int
    hung: int
    lost: int
    crash_free_rate: float
    crash_free_interval: tuple[float, float]
    hang_free_rate: float
    hang_free_interval: tuple[float, float]
    lost_rate: float
    lost_interval: tuple[float, float]
    hang_seconds: float
    hang_seconds_per_hour: float | None


def reliability(
    reader: Reader, scope: Scope, bucket: Bucket | Literal["none"], by: frozenset[Dimension]
) -> list[ReliabilityView]:
    """A view for each bucket and group that has sessions, in order."""
    counts = reader.session_counts(scope, None if bucket == "none" else bucket, by, MAX_GROUPS)
    return [_view(count) for count in counts]


def _view(count: SessionCount) -> ReliabilityView:
    total = count.sessions
    crash_free, hang_free = total - count.crashed, total - count.hung
    return ReliabilityView(
        bucket=None if count.bucket is None else rfc3339(count.bucket),
        product=count.product,
        version=count.version,
        environment=count.environment,
        sessions=total,
        crashed=count.crashed,
        hung=count.hung,
        lost=count.lost,
        crash_free_rate=crash_free / total,
        crash_free_interval=wilson_interval(crash_free, total),
        hang_free_rate=hang_free / total,
        hang_free_interval=wilson_interval(hang_free, total),
        lost_rate=count.lost / total,
        lost_interval=wilson_interval(count.lost, total),
        hang_seconds=count.hang_seconds,
        hang_seconds_per_hour=count.hang_seconds * 3600 / count.seconds if count.seconds else None,
    )
