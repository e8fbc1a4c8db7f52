"""``GET /metrics``: what a Prometheus server asks, so that alerting has a history.

What must hold: a scrape costs the same however much is stored, and the label sets are bounded, as
each is a series that Prometheus keeps for ever. The names follow
https://prometheus.io/docs/practices/naming/.
"""

import asyncio
from collections.abc import Iterator
from operator import attrgetter
from typing import Final, get_args

from litestar import Response, get
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from datacat.api.dependencies import Answered, Committing, Limits, Listeners, Removing, Sessions
from datacat.api.openapi import problems
from datacat.ingest.committer import Committer
from datacat.ingest.janitor import Janitor, Removed
from datacat.ingest.throttle import Throttle
from datacat.query.live import Hub
from datacat.query.reliability import MAX_GROUPS
from datacat.store.asked import Reason, Scope
from datacat.store.found import SessionCount, Size
from datacat.store.port import Reader
from datacat.version import __version__

MOST_VERSIONS: Final = 100
"""Versions of products with series of their own: those with the most sessions. The others are one, ``other``."""

_STANDING: Final = {
    "active": attrgetter("active"),
    "hung": attrgetter("hung_now"),
    "ended": attrgetter("ended"),
    "crashed": attrgetter("crashed"),
    "lost": attrgetter("lost"),
}


@get("/metrics", tags=["health"], responses=problems(503))
async def metrics(
    reader: Sessions,
    committer: Committing,
    throttle: Limits,
    janitor: Removing,
    hub: Listeners,
    requests: Answered,
) -> Response[bytes]:
    """Sessions by product, version and status, and how the service is, in Prometheus's text format."""
    registry = CollectorRegistry()
    for ours in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(ours)
    registry.register(_Datacat(reader, committer, throttle, janitor, hub))
    registry.register(requests)
    for histogram in (committer.durations, committer.sizes):
        registry.register(histogram)
    body = await asyncio.to_thread(generate_latest, registry)
    return Response(body, headers={"Content-Type": CONTENT_TYPE_LATEST})


class _Datacat:
    """Our own families, read when they are asked for."""

    def __init__(
        self, reader: Reader, committer: Committer, throttle: Throttle, janitor: Janitor, hub: Hub
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._throttle = throttle
        self._janitor = janitor
        self._hub = hub

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the registry would ask for everything once more."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        counts = self._reader.session_counts(Scope(), None, frozenset({"product", "version"}), MAX_GROUPS)
        yield from _sessions(counts)
        yield from _service(self._committer)
        yield from _live(self._hub)
        yield from _stored(self._reader.size(), self._janitor.removed)
        yield CounterMetricFamily(
            "datacat_batches_rate_limited", "Batches of keys that brought too much.", self._throttle.refused
        )


def _sessions(counts: list[SessionCount]) -> Iterator[Metric]:
    sessions = GaugeMetricFamily(
        "datacat_sessions", "Sessions by where they stand.", labels=("product", "version", "status")
    )
    hung = GaugeMetricFamily(
        "datacat_sessions_ever_hung", "Sessions that hung at any time.", labels=("product", "version")
    )
    seconds = GaugeMetricFamily(
        "datacat_hang_seconds", "Seconds that sessions hung, in all.", labels=("product", "version")
    )
    by_size = sorted(counts, key=lambda count: count.sessions, reverse=True)
    shown = [((count.product or "", count.version or ""), [count]) for count in by_size[:MOST_VERSIONS]]
    if rest := by_size[MOST_VERSIONS:]:
        shown.append((("other", "other"), rest))
    for labels, some in shown:
        for status, of in _STANDING.items():
            sessions.add_metric((*labels, status), sum(map(of, some)))
        hung.add_metric(labels, sum(count.hung for count in some))
        seconds.add_metric(labels, sum(count.hang_seconds for count in some))
    yield from (sessions, hung, seconds)


def _stored(size: Size, removed: Removed) -> Iterator[Metric]:
    database = GaugeMetricFamily("datacat_database_bytes", "What the database takes.", labels=("part",))
    for part, of in (("used", size.used), ("free", size.file - size.used), ("log", size.log)):
        database.add_metric((part,), of)
    yield database
    sessions = CounterMetricFamily(
        "datacat_sessions_removed", "Sessions that were removed.", labels=("reason",)
    )
    for reason in get_args(Reason):
        sessions.add_metric((reason,), size.removals.get(reason, 0))
    yield sessions
    yield GaugeMetricFamily(
        "datacat_sessions_being_removed", "Sessions that are gone, and whose rows are not yet.", size.removed
    )
    yield CounterMetricFamily("datacat_rows_removed", "Rows of sessions that were removed.", removed.rows)
    yield CounterMetricFamily("datacat_removal_seconds", "Seconds that took the writer.", removed.seconds)
    yield GaugeMetricFamily(
        "datacat_size_exceeded",
        "1 where there is more than there may be, and nothing that may go.",
        removed.cannot,
    )


def _live(hub: Hub) -> Iterator[Metric]:
    counts = hub.counts
    yield GaugeMetricFamily("datacat_live_readers", "Readers that follow live.", hub.readers)
    yield CounterMetricFamily("datacat_live_messages", "Messages that readers were sent.", counts.messages)
    yield CounterMetricFamily(
        "datacat_live_readers_cut", "Readers that were cut off, as they read too slowly.", counts.cut
    )
    yield CounterMetricFamily(
        "datacat_live_left_out",
        "Messages that were not told live, as too many came at once.",
        counts.left_out,
    )


def _service(committer: Committer) -> Iterator[Metric]:
    counts = committer.counts
    records, size = committer.waiting
    yield GaugeMetricFamily("datacat_queue_records", "Records that wait to be committed.", records)
    yield GaugeMetricFamily("datacat_queue_bytes", "Bytes of their bodies.", size)
    yield CounterMetricFamily("datacat_commits", "Commits.", counts.commits)
    yield CounterMetricFamily("datacat_commit_seconds", "Seconds spent in commits.", counts.seconds)
    yield CounterMetricFamily(
        "datacat_batches", "Batches that were committed, or refused by the store.", counts.batches
    )
    yield CounterMetricFamily("datacat_records", "Records that were committed.", counts.records)
    yield CounterMetricFamily("datacat_records_rejected", "Records that were refused.", counts.rejected)
    yield CounterMetricFamily(
        "datacat_records_lost", "Records that programs gave up, or that were refused.", counts.lost
    )
    yield CounterMetricFamily("datacat_batches_failed", "Batches that the store refused.", counts.failed)
    yield CounterMetricFamily(
        "datacat_batches_refused", "Batches for which there was no room.", counts.refused
    )
    build = GaugeMetricFamily("datacat_build_info", "Which datacat this is.", labels=("version",))
    build.add_metric((__version__,), 1)
    yield build
