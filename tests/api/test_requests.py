"""What is counted of requests, and what the log says of them."""

import json

import pytest
from tests.api.conftest import Api, wait_for
from tests.conftest import Service

from datacat.api.requests import FAST_LANE


@pytest.fixture
def talkative(tmp_path):
    service = Service(tmp_path / "datacat.db", "--log-level", "debug", "--log-format", "json")
    yield service
    service.stop()


def logged(service):
    return [json.loads(line) for line in service.log_file.read_text().splitlines() if line.startswith("{")]


def test_each_request_is_counted_by_its_route_and_known_in_the_log_by_its_id(talkative):
    api = Api(talkative.url)
    session_id = api.create()
    for _ in range(3):
        api.call("POST", f"/api/sessions/{session_id}/events", {"name": "saved"})
    api.raw("GET", f"/api/sessions/{session_id}", X_Request_ID="mine-1")
    # A stream is written down when it is closed, and its reader may have had all of it by then.
    wait_for(lambda: any(line.get("request_id") == "mine-1" for line in logged(talkative)))
    api.raw("GET", "/api/sessions/0193", X_Request_ID="two words")
    api.raw("GET", "/no/such/path")
    page = api.raw("GET", "/metrics").data.decode()
    for route, method, status, count in (
        ("/api/sessions", "POST", 200, 1),
        (FAST_LANE, "POST", 200, 3),
        ("/api/sessions/{session_id}", "GET", 200, 1),
        ("/api/sessions/{session_id}", "GET", 404, 1),
        ("other", "GET", 404, 1),
    ):
        assert (
            f'datacat_requests_total{{method="{method}",route="{route}",status="{status}"}} {count}.0' in page
        )
    assert 'datacat_commit_records_bucket{le="1.0"} 4.0' in page
    of_requests = [line for line in logged(talkative) if line["event"] == "answered"]
    assert [(line["route"], line["status"]) for line in of_requests[:2]] == [
        ("/api/sessions", 200),
        ("/api/sessions/{session_id}", 200),
    ]
    ids = [line["request_id"] for line in of_requests]
    assert ids[1] == "mine-1"
    assert len(set(ids)) == len(ids)
    assert all(line["level"] == "debug" and line["timestamp"].endswith("Z") for line in of_requests)


def test_records_that_are_refused_or_given_up_are_counted(service):
    api = Api(service.url)
    session_id = api.create()
    lines = [
        {"seq": 1, "time": 1, "type": "event", "name": ""},
        {"seq": 4, "time": 2, "type": "loss", "first": 2, "last": 4, "reason": "full"},
    ]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    assert api.call("POST", f"/api/sessions/{session_id}/records", body)[0] == 200
    page = api.raw("GET", "/metrics").data.decode()
    assert "datacat_records_rejected_total 1.0" in page
    assert "datacat_records_lost_total 4.0" in page
