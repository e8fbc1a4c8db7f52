"""The API keeps to its own OpenAPI document, whatever is sent."""

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error

from datacat.api.openapi import NDJSON


@schemathesis.serializer(NDJSON)
def as_it_is(_context, value):
    return str(value).encode("utf-8", "replace")


@schemathesis.serializer("application/merge-patch+json")
def as_json(_context, value):
    import json

    return json.dumps(value).encode()


def test_no_request_makes_the_server_fail(shared_service):
    document = schemathesis.openapi.from_url(f"{shared_service.url}/openapi.json")
    operations = [each.ok() for each in document.get_all_operations()]  # type: ignore[union-attr]  # an Err fails here, as it should
    assert len(operations) == 37
    # A stream that is well asked for has no end; test_live.py reads those.
    ending = [each for each in operations if not each.path.endswith("/live")]
    assert len(ending) == 35
    for operation in ending:

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def answers(case):
            response = case.call()
            case.validate_response(response, checks=[not_a_server_error])

        answers()


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
