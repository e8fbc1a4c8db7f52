"""What the service does when there is no room: say so, keep what it has, and go on."""

import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import apsw
import urllib3
from tests.acceptance.faults import resident_bytes, small_disk
from tests.conftest import Service

from datacat.client.api import DatacatClient


def events(first: int, count: int, *, text: str = "") -> bytes:
    head = b'{"seq":1,"time":1,"type":"start","product":"p"}\n' if first == 1 else b""
    return head + b"\n".join(
        b'{"seq":%d,"time":1,"type":"event","name":"e","data":{"n":%d,"text":"%s"}}' % (n, n, text.encode())
        for n in range(first + bool(head), first + count)
    )


def post(url: str, session_id: str, body: bytes) -> urllib3.BaseHTTPResponse:
    return urllib3.request(
        "POST", f"{url}/api/sessions/{session_id}/records", body=body, timeout=60, retries=False
    )


def test_a_full_disk_is_answered_503_and_nothing_is_half_written_until_there_is_room(tmp_path):
    with small_disk(tmp_path / "disk", 4) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(1024 * 1024))
        service = Service(disk / "datacat.db", log=tmp_path / "service.log")
        session_id = str(uuid.uuid4())
        acknowledged, refused = 0, None
        for first in range(1, 100_000, 1000):
            answer = post(service.url, session_id, events(first, 1000, text="x" * 40))
            if answer.status != 200:
                refused = answer
                break
            acknowledged = first + 999
        assert refused is not None
        assert (refused.status, refused.json()["code"]) == (503, "store_unavailable")
        assert int(refused.headers["Retry-After"]) > 0
        assert "full" in refused.json()["detail"]

        found = DatacatClient(service.url).get_session(session_id)
        assert [event["data"]["n"] for event in found["events"]] == list(range(2, acknowledged + 1))

        ballast.unlink()
        assert (
            post(service.url, session_id, events(acknowledged + 1, 100)).json()["last_seq"]
            == acknowledged + 100
        )
        assert service.stop() in (0, -15)


def test_a_full_queue_is_answered_503_with_retry_after_and_what_was_accepted_is_kept(service):
    blocker = apsw.Connection(str(service.database))
    blocker.execute("BEGIN IMMEDIATE")
    ids = [str(uuid.uuid4()) for _ in range(14)]
    with ThreadPoolExecutor(len(ids)) as senders:
        sent = [senders.submit(post, service.url, session_id, events(1, 10_000)) for session_id in ids]
        deadline = time.monotonic() + 30
        while not any(each.done() for each in sent):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        blocker.execute("ROLLBACK")
        answers = [each.result() for each in sent]
    busy = [answer for answer in answers if answer.status == 503]
    taken = [session_id for session_id, answer in zip(ids, answers, strict=True) if answer.status == 200]
    assert busy
    assert taken
    assert len(busy) + len(taken) == len(ids)
    for answer in busy:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.json()["code"], int(answer.headers["Retry-After"]) >= 1) == ("busy", True)
    stored = {
        session["id"]: len(session["events"]) for session in DatacatClient(service.url).get_all_sessions()
    }
    assert stored == dict.fromkeys(taken, 9_999)


def test_a_database_that_stays_locked_is_answered_503_and_works_when_it_is_free_again(service):
    blocker = apsw.Connection(str(service.database))
    blocker.execute("BEGIN IMMEDIATE")
    client = DatacatClient(service.url, timeout=30)
    refused = urllib3.request("POST", f"{service.url}/api/sessions", body=b"{}", timeout=30, retries=False)
    assert (refused.status, refused.json()["code"]) == (503, "store_unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert client.get_all_sessions() == []
    blocker.execute("ROLLBACK")
    assert client.register_session(product="p")


def test_a_million_events_are_read_in_little_memory(service):
    session_id = str(uuid.uuid4())
    for first in range(1, 1_000_001, 10_000):
        assert post(service.url, session_id, events(first, 10_000)).status == 200
    before = peak = resident_bytes(service.process.pid)
    for path in (f"/api/sessions/{session_id}", "/api/grafana/sessions"):
        answer = urllib3.request("GET", service.url + path, preload_content=False, timeout=60)
        count, tail = 0, b""
        for piece in answer.stream(1024 * 1024):
            count += len(re.findall(rb'"name":"e"', tail + piece))
            tail = piece[-9:]
            peak = max(peak, resident_bytes(service.process.pid))
        assert count == 999_999
    assert peak - before < 32 * 1024 * 1024


def test_a_reader_that_goes_away_in_the_middle_is_no_trouble(service):
    session_id = str(uuid.uuid4())
    for first in range(1, 100_001, 10_000):
        assert post(service.url, session_id, events(first, 10_000)).status == 200
    for _ in range(20):
        answer = urllib3.request(
            "GET", f"{service.url}/api/grafana/sessions", preload_content=False, timeout=60
        )
        assert answer.read(1000)
        answer.close()
    assert DatacatClient(service.url).get_session(session_id, events=False)["product"] == "p"
    assert service.stop() in (0, -15)
    assert "Traceback" not in service.log_file.read_text()
