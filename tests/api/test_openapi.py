"""The API keeps to its own OpenAPI document, whatever is sent."""

import uuid

from tests.faults.fuzz import by_the_document


def test_no_request_makes_the_server_fail(shared_service):
    statuses = by_the_document(shared_service.url, examples=30)
    assert statuses.total() > 500
    assert {200, 404, 422} <= statuses.keys()


def test_the_document_knows_every_call(api):
    status, document = api.call("GET", "/openapi.json")
    assert status == 200
    assert set(document["paths"]) == {
        "/api/sessions",
        "/api/sessions/{session_id}",
        *(
            f"/api/sessions/{{session_id}}/{call}"
            for call in ("state", "events", "metrics", "heartbeat", "end", "records", "dossier")
        ),
        "/api/sessions/{session_id}/state/changes",
        "/api/sessions/{session_id}/state/diff",
        "/api/sessions/{session_id}/live",
        "/api/live",
        "/api/products",
        "/api/problems",
        "/api/hangs",
        "/api/crashes",
        "/api/reliability",
        "/api/grafana",
        *(
            f"/api/grafana/flat/{each}"
            for each in (
                "summary",
                "reliability",
                "sessions",
                "metrics",
                "events",
                "problems",
                "groups",
                "state",
                "names",
            )
        ),
        "/api/grafana/sessions",
        "/healthz",
        "/metrics",
        "/readyz",
    }


def test_each_question_knows_the_parameters_of_the_document_and_refuses_all_others(api):
    _, document = api.call("GET", "/openapi.json")
    asked = 0
    for path, operations in document["paths"].items():
        if "get" in operations and path.startswith("/api/"):
            known = [
                each["name"] for each in operations["get"].get("parameters", []) if each["in"] == "query"
            ]
            status, problem = api.call("GET", f"{path.format(session_id=uuid.uuid4())}?limti=1")
            assert (status, problem["code"], problem["field"]) == (422, "unknown_parameter", "limti")
            assert problem.get("expected", "") == ", ".join(sorted(known))
            assert ("limit is one" in problem["detail"]) == ("limit" in known)
            asked += 1
    assert asked > 20
    assert api.raw("HEAD", "/api/live?product=editor").status == 200


def test_what_records_is_taken_whatever_stands_behind_its_path(api):
    status, _ = api.call("POST", f"/api/sessions/{api.create()}/heartbeat?because=1")
    assert status == 200
