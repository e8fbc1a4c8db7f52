"""The API keeps to its own OpenAPI document, whatever is sent."""

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
