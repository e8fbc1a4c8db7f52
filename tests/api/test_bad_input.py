import gzip
import uuid

import pytest

CASES = [
    ("events", b"", 400, "not_json", ""),
    ("events", b"{", 400, "not_json", ""),
    ("events", b"[]", 422, "wrong_type", ""),
    ("events", b"{}", 422, "missing_field", "name"),
    ("events", b'{"name":7}', 422, "wrong_type", "name"),
    ("events", b'{"name":""}', 422, "too_short", "name"),
    ("events", b'{"name":"' + b"x" * 201 + b'"}', 422, "too_long", "name"),
    ("events", b'{"name":"e","data":[1]}', 422, "not_object", "data"),
    ("events", b'{"name":"e","data":"text"}', 422, "not_object", "data"),
    ("events", b'{"name":"e","data":{"a":NaN}}', 422, "number_not_finite", ""),
    ("events", b'{"name":"e","data":{"a":1e999}}', 422, "number_not_finite", ""),
    ("events", b'{"name":"e","data":{"a":"\xff"}}', 400, "bad_utf8", ""),
    ("events", b'{"name":"\xc3"}', 400, "bad_utf8", ""),
    ("events", b'{"name":"e","level":"loud"}', 422, "wrong_value", "level"),
    ("events", b'{"name":"e","timestamp":"soon"}', 422, "bad_timestamp", "timestamp"),
    ("events", b'{"name":"e","timestamp":1.5}', 422, "wrong_type", "timestamp"),
    ("events", b'{"name":"e","data":' + b'{"a":' * 65 + b"1" + b"}" * 66, 422, "too_deep", "data"),
    ("events", b'{"name":"e","data":' + b'{"a":' * 60_000 + b"1" + b"}" * 60_001, 422, "too_deep", ""),
    ("metrics", b'{"name":"m"}', 422, "missing_field", "value"),
    ("metrics", b'{"name":"m","value":"1"}', 422, "wrong_type", "value"),
    ("metrics", b'{"name":"m","value":true}', 422, "wrong_type", "value"),
    ("metrics", b'{"name":"m","value":NaN}', 422, "number_not_finite", ""),
    ("metrics", b'{"name":"m","value":-Infinity}', 422, "number_not_finite", ""),
    ("metrics", b'{"name":"m","value":1e999}', 422, "number_not_finite", "value"),
    ("metrics", b'{"name":"m","value":1,"tags":"a"}', 422, "wrong_type", "tags"),
    ("metrics", b'{"name":"m","value":1,"tags":[1]}', 422, "wrong_type", "tags[0]"),
    ("metrics", b'{"name":"m","value":1,"kind":"speed"}', 422, "wrong_value", "kind"),
    ("state", b"[]", 422, "not_object", ""),
    ("state", b'"x"', 422, "not_object", ""),
    ("state", b"null", 422, "not_object", ""),
    ("state", b'{"a":1e999}', 422, "number_not_finite", ""),
    ("state", b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", 422, "too_deep", ""),
    ("state", b'{"a":"' + b"x" * 1_100_000 + b'"}', 413, "state_too_large", ""),
    ("records", b"x", 400, "not_json", ""),
    ("records", b'{"time":1,"type":"end"}', 422, "missing_field", "seq"),
    (
        "records",
        b'{"seq":1,"time":1,"type":"end"}\n{"seq":3,"time":1,"type":"end"}',
        422,
        "not_contiguous",
        "seq",
    ),
    ("records", b"\n" * 10_001, 413, "too_many_records", ""),
]


@pytest.mark.parametrize(
    ("call", "body", "status", "code", "field"),
    CASES,
    ids=[f"{n}-{case[0]}-{case[3]}" for n, case in enumerate(CASES)],
)
def test_bad_input_is_a_problem_and_leaves_what_is_stored_as_it_was(api, call, body, status, code, field):
    session_id = api.create()
    api.call("POST", f"/api/sessions/{session_id}/state", {"kept": True})
    before = api.get(session_id)
    response = api.raw("POST", f"/api/sessions/{session_id}/{call}", body)
    problem = response.json()
    assert (response.status, problem["code"], problem.get("field", "")) == (status, code, field), problem
    assert problem["status"] == status
    assert response.headers["content-type"].startswith("application/problem+json")
    assert problem["detail"]
    after = api.get(session_id)
    # The server has heard of the session, and that is all that may have changed.
    assert after | {"updated_at": ""} == before | {"updated_at": ""}


@pytest.mark.parametrize("call", ["", "/state", "/events", "/metrics", "/heartbeat", "/end", "/records"])
@pytest.mark.parametrize("session_id", [str(uuid.UUID(int=7)), "editor-1"])
def test_an_unknown_session_is_404(api, call, session_id):
    bodies = {"/events": {"name": "e"}, "/metrics": {"name": "m", "value": 1}, "/state": {}}
    body = bodies.get(call, b'{"seq":1,"time":1,"type":"end"}' if call == "/records" else None)
    status, problem = api.call("POST" if call else "GET", f"/api/sessions/{session_id}{call}", body)
    if call == "/records" and session_id == "editor-1":
        assert (status, problem["code"]) == (422, "bad_id")  # a start record there would create a session
    else:
        assert (status, problem["code"]) == (404, "unknown_session")


def test_a_wrong_method_is_405_and_says_what_is_allowed(api):
    response = api.raw("DELETE", f"/api/sessions/{api.create()}/events")
    assert (response.status, response.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in response.headers["allow"]


def test_an_unknown_path_is_404(api):
    assert api.call("GET", "/api/nothing")[1]["code"] == "unknown_path"


def test_a_host_that_is_none_is_400(api):
    response = api.raw("POST", f"/api/sessions/{api.create()}/events", b'{"name":"e"}', host="a b")
    problem = response.json()
    assert (response.status, problem["code"]) == (400, "bad_host")
    assert (problem["field"], problem["found"]) == ("Host", "a b")


@pytest.mark.parametrize("host", [":localhost", "[", "localhost:http", "localhost:99999"])
def test_whatever_stands_as_the_host_an_unknown_path_is_404_and_a_wrong_method_405(api, host):
    assert api.raw("GET", "/api/nothing", host=host).json()["code"] == "unknown_path"
    assert api.raw("DELETE", "/api/products", host=host).json()["code"] == "method_not_allowed"


def test_an_unknown_encoding_is_415(api):
    status, problem = api.call("POST", f"/api/sessions/{api.create()}/events", b"x", content_encoding="br")
    assert (status, problem["code"]) == (415, "unknown_encoding")


def test_a_body_that_is_not_compressed_as_it_says_is_400(api):
    status, problem = api.call("POST", f"/api/sessions/{api.create()}/events", b"x", content_encoding="gzip")
    assert (status, problem["code"]) == (400, "bad_compression")


def test_a_body_over_the_limit_is_413(api):
    status, problem = api.call("POST", f"/api/sessions/{api.create()}/state", b" " * (8 * 1024 * 1024 + 1))
    assert (status, problem["code"]) == (413, "body_too_large")


def test_a_decompression_bomb_is_413(api):
    bomb = gzip.compress(bytes(80 * 1024 * 1024))
    status, problem = api.call("POST", f"/api/sessions/{api.create()}/records", bomb, content_encoding="gzip")
    assert (status, problem["code"]) == (413, "decoded_too_large")


def test_a_create_with_wrong_fields_is_422(api):
    for body, field in (
        ({"id": "x"}, "id"),
        ({"pid": "1"}, "pid"),
        ({"tags": [1]}, "tags[0]"),
        ({"product": 1}, "product"),
    ):
        status, problem = api.call("POST", "/api/sessions", body)
        assert (status, problem["field"]) == (422, field)


def test_a_query_flag_that_is_none_is_422(api):
    status, problem = api.call("GET", f"/api/sessions/{api.create()}?events=perhaps")
    assert (status, problem["field"]) == (422, "events")
