"""Thousands of sessions alive at once: each beat is answered in time, and those that fall silent are found in time."""

import asyncio
import time
from typing import Any

from tests.faults.crowd import Crowd, beat_together
from tests.faults.quick import QuickService

from datacat.client.api import DatacatClient

SESSIONS = 1_000
"""``make soak`` has ten thousand."""

CONTACT_TIMEOUT = 5.0


def test_many_sessions_alive_at_once_are_answered_in_time_and_lost_in_time(tmp_path):
    service = QuickService(tmp_path / "datacat.db", durability="normal")
    try:
        crowd, seconds = crowd_alive_and_lost(
            service, SESSIONS, interval=2.5, seconds=4.0, contact_timeout=CONTACT_TIMEOUT
        )
    finally:
        service.kill()
    assert len(crowd.waits) >= SESSIONS
    assert crowd.wait_at(0.99) < 2
    assert seconds < CONTACT_TIMEOUT + 10


def crowd_alive_and_lost(
    service: QuickService, count: int, *, interval: float, seconds: float, contact_timeout: float
) -> tuple[Crowd, float]:
    """How the crowd was served, and after how many seconds of silence the last of them was known to be lost."""
    client = DatacatClient(service.url, timeout=60)

    def counts() -> dict[str, Any]:
        found: dict[str, Any] = client.get_sessions(limit=1, product="crowd")["counts"]
        return found

    crowd = asyncio.run(
        beat_together(
            service.port,
            count,
            product="crowd",
            interval=interval,
            seconds=seconds,
            contact_timeout=contact_timeout,
        )
    )
    silent_since = time.monotonic()
    assert counts()["active"] + counts()["lost"] == count
    while counts()["lost"] < count:
        assert time.monotonic() < silent_since + 60 + contact_timeout
        time.sleep(0.2)
    return crowd, time.monotonic() - silent_since
