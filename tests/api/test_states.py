"""The state through time: as it was, what changed when, and between two moments."""

import uuid
from typing import Any

import msgspec
import pytest

SECOND = 1_000_000
NOON = 1_732_363_200_000_000


@pytest.fixture
def session_id(api):
    """Four changes, a second apart."""
    new = str(uuid.uuid4())
    changes: list[dict[str, Any]] = [
        {"merge": {"window": {"open": ["w1"], "active": "w1"}, "memory": 50}},
        {"merge": {"window": {"open": ["w1", "w2"]}}},
        {"merge": {"window": {"active": None}, "a/b": 1}},
        {"remove": ["/memory"], "merge": {"window": {"active": "w2"}}},
    ]
    records = [{"seq": 1, "time": NOON, "type": "start"}] + [
        {"seq": n + 1, "time": NOON + n * SECOND, "type": "state", **change}
        for n, change in enumerate(changes, 1)
    ]
    body = b"\n".join(map(msgspec.json.encode, records))
    status, _ = api.call("POST", f"/api/sessions/{new}/records", body)
    assert status == 200
    return new


def ask(api, session_id, path):
    return api.call("GET", f"/api/sessions/{session_id}/state{path}")


def test_the_state_is_as_it_was_at_the_moment(api, session_id):
    assert ask(api, session_id, f"?at={NOON}")[1] == {"at": "2024-11-23T12:00:00.000000Z", "state": {}}
    assert ask(api, session_id, "?at=2024-11-23T12:00:02.5Z")[1]["state"] == {
        "window": {"open": ["w1", "w2"], "active": "w1"}, "memory": 50,
    }  # fmt: skip
    assert ask(api, session_id, "")[1]["state"] == api.get(session_id)["state"]


def test_changes_are_told_as_they_were_made_a_page_at_a_time(api, session_id):
    status, first = ask(api, session_id, "/changes?limit=3")
    assert status == 200
    assert [change["number"] for change in first["changes"]] == [1, 2, 3]
    assert first["changes"][1] == {
        "number": 2, "timestamp": "2024-11-23T12:00:02.000000Z", "merge": {"window": {"open": ["w1", "w2"]}},
        "remove": [],
    }  # fmt: skip
    last = ask(api, session_id, f"/changes?limit=3&after={first['next']}")[1]
    assert [(change["number"], change["remove"]) for change in last["changes"]] == [(4, ["/memory"])]
    assert last["next"] is None
    assert ask(api, session_id, "/changes?limit=4")[1]["next"] is None


def test_the_difference_of_two_moments_is_a_json_patch_that_says_what_was_there(api, session_id):
    status, found = ask(api, session_id, f"/diff?from={NOON + SECOND}&to={NOON + 4 * SECOND}")
    assert status == 200
    assert (found["from"], found["to"]) == ("2024-11-23T12:00:01.000000Z", "2024-11-23T12:00:04.000000Z")
    assert found["patch"] == [
        {"op": "replace", "path": "/window/open", "value": ["w1", "w2"], "before": ["w1"]},
        {"op": "replace", "path": "/window/active", "value": "w2", "before": "w1"},
        {"op": "remove", "path": "/memory", "before": 50},
        {"op": "add", "path": "/a~1b", "value": 1},
    ]
    assert ask(api, session_id, f"/diff?from={NOON + 4 * SECOND}")[1]["patch"] == []
    assert [each["op"] for each in ask(api, session_id, "/diff")[1]["patch"]] == ["add", "add"]


def test_a_null_is_a_value_in_a_difference(api, session_id):
    patch = ask(api, session_id, f"/diff?from={NOON + 2 * SECOND}&to={NOON + 3 * SECOND}")[1]["patch"]
    assert {"op": "replace", "path": "/window/active", "value": None, "before": "w1"} in patch


def test_a_difference_backwards_takes_everything_back(api, session_id):
    patch = ask(api, session_id, f"/diff?from={NOON + SECOND}&to={NOON}")[1]["patch"]
    assert [(each["op"], each["path"]) for each in patch] == [("remove", "/window"), ("remove", "/memory")]


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        ("?at=noon", 422, "bad_timestamp", "at"),
        ("/diff?from=noon", 422, "bad_timestamp", "from"),
        ("/diff?from=1&to=noon", 422, "bad_timestamp", "to"),
        ("/changes?after=-1", 422, "wrong_value", "after"),
    ],
)
def test_a_question_that_means_nothing_is_answered_with_what_to_mend(
    api, session_id, path, status, code, field
):
    found, problem = ask(api, session_id, path)
    assert (found, problem["code"], problem["field"]) == (status, code, field)


@pytest.mark.parametrize("path", ["", "/changes", "/diff?from=1"])
@pytest.mark.parametrize("unknown", ["00000000-0000-4000-8000-000000000000", "no-id"])
def test_a_session_that_does_not_exist_has_no_state(api, unknown, path):
    status, problem = ask(api, unknown, path)
    assert (status, problem["code"]) == (404, "unknown_session")
