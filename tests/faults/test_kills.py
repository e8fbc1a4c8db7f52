"""``kill -9`` at random moments while clients write."""

import random
import time
from pathlib import Path

from tests.faults.audit import audit
from tests.faults.quick import QuickService
from tests.faults.writers import Writers

KILLS = 5
"""``make soak`` does a hundred."""

LONGEST_LIFE = 0.3
"""Seconds for which the service may write before it is killed."""


def kill_again_and_again(database: Path, seed: int, kills: int) -> int:
    """Kill the service that often, then hold what it has against what it said; how many requests it answered."""
    moments = random.Random(seed)
    service = QuickService(database)
    writers = Writers(service.port, seed)
    with writers.writing():
        for _ in range(kills):
            writers.wait_for_more()
            time.sleep(moments.uniform(0, LONGEST_LIFE))
            service.kill()
            service.start()
        writers.wait_for_more()
    writers.check(service.url)
    assert service.stop() in (0, -15)
    audit(database)
    return writers.answered


def test_nothing_answered_is_lost_or_doubled_however_often_the_service_is_killed(tmp_path):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    assert kill_again_and_again(tmp_path / "datacat.db", seed, KILLS) > KILLS
