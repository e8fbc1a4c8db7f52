"""The server's clock is set back by an hour, while it runs and between two runs."""

import threading
import time

import pytest
from tests.faults.quick import QuickService

from datacat.client.api import DatacatClient

HOUR = 3600


@pytest.fixture
def shift(tmp_path):
    file = tmp_path / "shift"
    file.write_text("0")
    return file


@pytest.fixture
def service(tmp_path, shift):
    service = QuickService(tmp_path / "datacat.db", durability="normal", clock_shift=shift)
    yield service
    service.kill()


def until_lost(client: DatacatClient, session_id: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while client.get_session(session_id)["status"] != "lost":
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Beating(threading.Thread):
    """A program that is well, until it is told to stop."""

    def __init__(self, client: DatacatClient, session_id: str) -> None:
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self._beat = lambda: client.heartbeat(session_id)

    def run(self) -> None:
        while not self.stopping.wait(0.1):
            self._beat()


def test_times_liveness_and_pages_stay_sane_when_the_clock_is_set_back_and_forth(service, shift):
    client = DatacatClient(service.url)

    def begin(product: str, contact_timeout: float | None = None) -> str:
        return client.register_session(product=product, contact_timeout=contact_timeout)

    silent, well = begin("silent", 1.0), begin("well", 3.0)
    early = [begin("early") for _ in range(3)]
    client.log_metric(early[0], "m", 1)
    beating = Beating(client, well)
    beating.start()

    shift.write_text(str(-HOUR))
    began = time.monotonic()
    late = [begin("late") for _ in range(3)]
    client.log_metric(early[0], "m", 2)
    client.end_session(early[0])
    until_lost(client, silent)
    assert time.monotonic() - began > 1, "no sooner than it promised"

    pages, cursor = [], None
    while True:
        page = client.get_sessions(limit=2, cursor=cursor)
        pages += [session["id"] for session in page["sessions"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(pages) == sorted([silent, well, *early, *late])
    for session_id in pages:
        verdict = client.get_dossier(session_id)["verdict"]
        assert "-" not in verdict, verdict
    (problem,) = client.get_problems()
    assert (problem["session_id"], problem["kind"]) == (silent, "lost")
    ended = client.get_session(early[0])
    assert (ended["status"], len(ended["metrics"])) == ("ended", 2)

    shift.write_text("0")
    time.sleep(4)
    beating.stopping.set()
    beating.join()
    found = client.get_session(well)
    assert (found["status"], found["events"]) == ("active", [])
    until_lost(client, well)


def test_a_session_is_lost_in_time_by_a_service_that_starts_before_the_session_did(service, shift):
    client = DatacatClient(service.url)
    session_id = client.register_session(product="p", contact_timeout=1.0)
    service.kill()
    shift.write_text(str(-24 * HOUR))
    service.start()
    until_lost(client, session_id)
    client.heartbeat(session_id)
    assert client.get_session(session_id)["status"] == "active"
    until_lost(client, session_id)
