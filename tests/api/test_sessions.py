import re
import uuid

import pytest

OK = (200, {"status": "ok"})


def test_a_session_is_created_without_a_body(api):
    session = api.get(api.create())
    assert session["active"] is True
    assert session["status"] == "active"
    assert session["ended_at"] is None
    assert (session["state"], session["events"], session["metrics"]) == ({}, [], [])


def test_a_session_keeps_what_it_is_told_of_the_program(api):
    fields = {
        "product": "editor", "version": "2.3.1", "environment": "prod", "hostname": "h", "machine_id": "m",
        "pid": 4711, "tags": ["a", "b:c"],
    }  # fmt: skip
    session = api.get(api.create(**fields))
    assert {name: session[name] for name in fields} == fields


def test_the_same_id_again_is_the_same_session(api):
    session_id = str(uuid.uuid4())
    assert api.create(id=session_id, product="editor") == session_id
    assert api.create(id=session_id.upper(), product="other", version="2") == session_id
    session = api.get(session_id)
    assert (session["product"], session["version"]) == ("editor", "2")


def test_the_founding_merge_flow(api):
    path = f"/api/sessions/{(session_id := api.create())}/state"
    assert (
        api.call(
            "POST", path, {"window_state": {"open": ["w1"], "active": "w1"}, "memory": {"footprint_mb": 50}}
        )
        == OK
    )
    assert api.call("POST", path, {"window_state": {"open": ["w1", "w2"]}}) == OK
    assert api.get(session_id)["state"] == {
        "window_state": {"open": ["w1", "w2"], "active": "w1"},
        "memory": {"footprint_mb": 50},
    }
    assert api.call("POST", path, {"memory": {"footprint_mb": 75}}) == OK
    assert api.call("POST", path, {"window_state": {"active": None}}) == OK
    assert api.get(session_id)["state"] == {
        "window_state": {"open": ["w1", "w2"], "active": None},
        "memory": {"footprint_mb": 75},
    }


def test_a_merge_patch_removes_by_null(api):
    path = f"/api/sessions/{(session_id := api.create())}/state"
    api.call("POST", path, {"a": {"b": 1, "c": 2}})
    assert (
        api.call("POST", path, {"a": {"b": None}}, content_type="application/merge-patch+json; charset=utf-8")
        == OK
    )
    assert api.get(session_id)["state"] == {"a": {"c": 2}}


def test_an_event_is_kept_as_it_came(api):
    session_id = api.create()
    body = {
        "name": "saved",
        "data": {"path": "ä.txt", "n": [1, 2.5, None]},
        "level": "warning",
        "message": "late",
    }
    assert api.call("POST", f"/api/sessions/{session_id}/events", body) == OK
    (event,) = api.get(session_id)["events"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event.pop("timestamp"))
    assert event == body


def test_a_metric_is_kept_as_it_came(api):
    session_id = api.create()
    body = {"name": "fps", "value": 59.8, "kind": "histogram", "unit": "1", "tags": ["scene:menu"]}
    assert api.call("POST", f"/api/sessions/{session_id}/metrics", body) == OK
    (metric,) = api.get(session_id)["metrics"]
    assert metric.pop("timestamp")
    assert metric == body


@pytest.mark.parametrize(
    "timestamp", ["2024-11-23T16:40:00.123456Z", "2024-11-23T17:40:00.123456+01:00", 1732380000123456]
)
def test_timestamps_are_rfc_3339_or_microseconds(api, timestamp):
    session_id = api.create()
    api.call("POST", f"/api/sessions/{session_id}/events", {"name": "e", "timestamp": timestamp})
    api.call("POST", f"/api/sessions/{session_id}/metrics", {"name": "m", "value": 1, "timestamp": timestamp})
    session = api.get(session_id)
    assert session["events"][0]["timestamp"] == "2024-11-23T16:40:00.123456Z"
    assert session["metrics"][0]["timestamp"] == "2024-11-23T16:40:00.123456Z"


def test_the_oldest_come_first_over_many_pages(api):
    session_id = api.create()
    lines = [b'{"seq":1,"time":1,"type":"start"}']
    lines += [
        b'{"seq":%d,"time":%d,"type":"event","name":"e","data":{"n":%d}}' % (n, n, n) for n in range(2, 2500)
    ]
    api.call("POST", f"/api/sessions/{session_id}/records", b"\n".join(lines))
    assert [event["data"]["n"] for event in api.get(session_id)["events"]] == list(range(2, 2500))


def test_the_lists_can_be_left_out(api):
    session_id = api.create()
    session = api.get(session_id, "?events=0&metrics=0")
    assert "events" not in session
    assert "metrics" not in session
    assert "metrics" in api.get(session_id, "?events=false")


def test_a_heartbeat_is_remembered(api):
    session_id = api.create()
    assert api.call("POST", f"/api/sessions/{session_id}/heartbeat") == OK
    assert api.get(session_id)["last_heartbeat_at"]


def test_a_session_ends_and_takes_late_events(api):
    session_id = api.create()
    assert api.call("POST", f"/api/sessions/{session_id}/end") == OK
    ended = api.get(session_id)
    assert (ended["active"], ended["status"]) == (False, "ended")
    assert api.call("POST", f"/api/sessions/{session_id}/events", {"name": "late"}) == OK
    assert api.call("POST", f"/api/sessions/{session_id}/end") == OK
    late = api.get(session_id)
    assert (late["ended_at"], len(late["events"])) == (ended["ended_at"], 1)


def test_a_client_of_long_ago_works_unchanged(api):
    session_id = api.create()
    for call, body in (
        ("state", {"window_state": {"active": None}}),
        ("events", {"name": "opened", "data": {}}),
        ("metrics", {"name": "memory", "value": 75, "tags": []}),
        ("events", {"name": "application_appears_hung", "data": {"seconds": 61}}),
    ):
        assert api.call("POST", f"/api/sessions/{session_id}/{call}", body) == OK
    assert api.get(session_id)["status"] == "hung"
    assert api.call("POST", f"/api/sessions/{session_id}/events", {"name": "application_recovered"}) == OK
    assert api.call("POST", f"/api/sessions/{session_id}/end", b"") == OK
    status, export = api.call("GET", "/api/grafana/sessions")
    assert status == 200
    (found,) = [session for session in export if session["id"] == session_id]
    assert found == api.get(session_id)


def test_a_body_may_be_sent_as_a_form_type_as_curl_does(api):
    session_id = api.create()
    form = "application/x-www-form-urlencoded"
    assert api.call("POST", f"/api/sessions/{session_id}/events", {"name": "e"}, content_type=form) == OK


def test_the_service_says_that_it_lives_and_is_ready(api):
    assert api.call("GET", "/healthz") == OK
    assert api.call("GET", "/readyz") == OK


def test_the_documentation_asks_nothing_of_the_internet(api):
    page = api.raw("GET", "/docs").data.decode()
    addresses = re.findall(r"(?:src|href)=[\"']([^\"']+)", page)
    assert addresses
    for address in addresses:
        assert address.startswith(("/docs/assets/", "data:")), address
        if address.startswith("/"):
            assert api.raw("GET", address).status == 200
    assert "https://" not in page.replace("https://spec.openapis.org", "")


def test_a_session_that_is_deleted_is_gone_with_all_that_it_recorded(api):
    session_id = api.create(product="deleted")
    api.call("POST", f"/api/sessions/{session_id}/events", {"name": "saved"})
    assert api.call("DELETE", f"/api/sessions/{session_id}") == (200, {"status": "ok"})
    for path in ("", "/events", "/state", "/dossier"):
        assert api.call("GET", f"/api/sessions/{session_id}{path}")[0] == 404
    assert api.call("GET", "/api/sessions?product=deleted")[1]["sessions"] == []
    assert all(each["product"] != "deleted" for each in api.call("GET", "/api/products")[1])
    assert api.call("POST", f"/api/sessions/{session_id}/events", {"name": "late"})[0] == 404
    status, problem = api.call("DELETE", f"/api/sessions/{session_id}")
    assert (status, problem["code"]) == (404, "unknown_session")
