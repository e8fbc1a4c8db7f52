"""Damaged requests: the service answers or closes, never fails, and does not grow. ``make soak`` sends many more."""

import random

from tests.acceptance.faults import open_files, resident_bytes
from tests.faults.fuzz import raw_bytes

from datacat.client.api import DatacatClient

REQUESTS = 600


def test_no_bytes_make_the_server_fail_or_grow(service):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    raw_bytes(service.port, seed + 1, REQUESTS // 4)
    before, files = resident_bytes(service.pid), open_files(service.pid)
    statuses = raw_bytes(service.port, seed, REQUESTS)
    assert statuses[200] > REQUESTS // 10
    assert statuses[400] > REQUESTS // 10
    assert resident_bytes(service.pid) - before < 16 * 1024 * 1024
    assert open_files(service.pid) <= files + 2
    assert DatacatClient(service.url).register_session(product="alive")
    assert "ERROR datacat" not in service.log_file.read_text(), "a mistake of ours"
