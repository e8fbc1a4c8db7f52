"""The flat endpoints: what they answer, and what they make of what data sources send."""

import json
import math
import re
import urllib.error
from datetime import UTC, datetime

import pytest

from datacat.grafana.rows import state_rows

FLAT = [
    "summary",
    "reliability",
    "sessions",
    "metrics?name=fps",
    "events",
    "problems",
    "groups?kind=hang",
    "names?kind=product",
]


def refused(recorded, path, **params):
    with pytest.raises(urllib.error.HTTPError) as caught:
        recorded.flat(path, **params)
    with caught.value as refusal:
        problem = json.loads(refusal.read())
    return refusal.code, problem["field"], problem["code"]


def test_save_and_test_is_answered_with_and_without_a_slash(recorded):
    assert recorded.ask("/api/grafana") == recorded.ask("/api/grafana/") == {"status": "ok"}


def test_the_summary_counts_every_session_where_it_stands(recorded):
    (row,) = recorded.flat("summary")
    assert row["total"] == 7
    assert (row["active"], row["hung"], row["ended"], row["crashed"], row["lost"]) == (1, 1, 4, 1, 0)
    assert row["ever_hung"] == 2
    assert math.isclose(row["crash_free_rate"], 6 / 7)
    assert math.isclose(row["hang_free_rate"], 5 / 7)
    assert row["hang_seconds"] >= 9


def test_the_summary_of_nothing_is_a_row_of_zeros_and_of_no_rates(recorded):
    (row,) = recorded.flat("summary", product="no such")
    assert {key for key, value in row.items() if value is None} == {
        "crash_free_rate",
        "hang_free_rate",
        "lost_rate",
        "hang_seconds_per_hour",
    }
    assert sum(value for value in row.values() if value is not None) == 0


@pytest.mark.parametrize("path", FLAT)
def test_every_row_has_every_key_and_no_number_is_none_of_json(recorded, path):
    path, _, query = path.partition("?")
    params = dict([query.split("=")]) if query else {}
    rows = recorded.flat(path, **params)
    assert rows
    assert len({tuple(row) for row in rows}) == 1
    assert not re.search(r"NaN|Infinity", json.dumps(rows))


def test_a_moment_is_seconds_milliseconds_microseconds_or_rfc_3339(recorded):
    at = recorded.now // 1_000_000 - 2 * 3_600
    moments = [at, at * 1_000, at * 1_000_000, datetime.fromtimestamp(at, UTC).isoformat()]
    counts = {recorded.flat("summary", **{"from": moment})[0]["total"] for moment in moments}
    assert counts == {5}
    assert recorded.flat("summary", to=at)[0]["total"] == 2
    # A plus that was not encoded comes as a space.
    text = recorded.call(
        "/api/grafana/flat/summary?from=" + moments[-1].replace("+", " ").replace(" ", "%20")
    )
    assert text[0]["total"] == 5


def test_what_is_wrong_is_named(recorded):
    assert refused(recorded, "summary", **{"from": "yesterday"}) == (422, "from", "bad_timestamp")
    assert refused(recorded, "sessions", status="dead") == (422, "status", "wrong_value")
    assert refused(recorded, "sessions", session="7") == (422, "session", "bad_id")
    assert refused(recorded, "sessions", limit=0)[:2] == (422, "limit")
    assert refused(recorded, "metrics", name="fps", aggregate="p99") == (422, "aggregate", "wrong_value")
    assert refused(recorded, "metrics", name="fps", max_points=10**9)[:2] == (422, "max_points")
    assert refused(recorded, "events", level="loud") == (422, "level", "wrong_value")
    assert refused(recorded, "groups", kind="lost") == (422, "kind", "wrong_value")
    assert refused(recorded, "names", kind="tag") == (422, "kind", "wrong_value")
    assert refused(recorded, "reliability", interval="often") == (422, "interval", "wrong_value")
    assert refused(recorded, "reliability", by="mood") == (422, "by", "wrong_value")


def test_empty_and_star_ask_for_all(recorded):
    every = recorded.flat("summary")
    assert (
        recorded.flat("summary", product="", version="*", environment="", **{"from": "", "to": ""}) == every
    )
    assert recorded.flat("summary", version="1.0")[0]["total"] == 3


def test_sessions_are_listed_newest_first_by_status_and_one_alone(recorded):
    rows = recorded.flat("sessions")
    assert [row["created_at"] for row in rows] == sorted((row["created_at"] for row in rows), reverse=True)
    assert len(recorded.flat("sessions", limit=2)) == 2
    active = recorded.flat("sessions", status="active,hung")
    assert {row["id"] for row in active} == {recorded.sessions["active"], recorded.sessions["hung"]}
    (row,) = recorded.flat("sessions", session=recorded.sessions["recovered"])
    assert row["verdict"] == "ended normally; it hung once, for 9.0 s in all"
    assert (row["status"], row["ended_at"] > row["created_at"], row["hangs"]) == ("ended", True, 1)
    assert row["last_event"] == "application_recovered"


def test_reliability_is_by_version_and_by_any_span_of_time(recorded):
    rows = {row["version"]: row for row in recorded.flat("reliability")}
    assert rows["1.0"]["sessions"] == 3
    assert rows["1.0"]["crashed"] == 1
    assert rows["1.0"]["crash_free_low"] < 2 / 3 < rows["1.0"]["crash_free_high"]
    assert rows["1.0"]["time"] is None
    hours = recorded.flat("reliability", interval="30m", by="none")
    assert sum(row["sessions"] for row in hours) == 7
    assert all(row["time"] % 3_600_000 == 0 for row in hours)
    assert all(row["time"] % 86_400_000 == 0 for row in recorded.flat("reliability", interval="6h"))
    weeks = recorded.flat("reliability", interval="30d", by="product")
    assert all(datetime.fromtimestamp(row["time"] / 1_000, UTC).weekday() == 0 for row in weeks)


def test_a_sessions_metrics_come_point_by_point_until_they_are_too_many(recorded):
    session = recorded.sessions["active"]
    rows = recorded.flat("metrics", session=session)
    assert len(rows) == 21
    assert {row["metric"]: row["unit"] for row in rows} == {"fps": None, "memory": "By"}
    assert {row["tags"] for row in rows} == {"scene:menu", ""}
    fps = recorded.flat("metrics", session=session, name="fps", max_points=5, aggregate="max")
    assert 1 <= len(fps) <= 6
    assert fps[-1]["value"] == 69
    assert {row["session"] for row in fps} == {session}


def test_an_empty_variable_asks_for_all_and_one_of_two_values_is_refused(recorded):
    empty = dict.fromkeys(("product", "version", "environment", "status", "session", "from", "to"), "")
    assert len(recorded.flat("sessions", **empty)) == len(recorded.flat("sessions"))
    assert refused(recorded, "sessions", product=["a", "b"]) == (422, "product", "wrong_value")


def test_a_metric_over_all_sessions_is_joined_in_spans(recorded):
    rows = recorded.flat("metrics", name="fps", aggregate="count")
    assert sum(row["value"] for row in rows) == 20 * 7
    assert {row["session"] for row in rows} == {None}
    assert recorded.flat("metrics") == []
    version = recorded.flat("metrics", name="fps", aggregate="count", version="1.0")
    assert sum(row["value"] for row in version) == 20 * 3


def test_events_are_found_by_name_level_and_session(recorded):
    assert {row["event"] for row in recorded.flat("events", level="warning", limit=500)} == {
        "careful",
        "application_appears_hung",
    }
    saved = recorded.flat("events", name="saved,careful", session=recorded.sessions["active"])
    assert [(row["title"], row["text"], row["data"]) for row in saved] == [
        ("saved", '{"path": "a.txt"}', '{"path": "a.txt"}'),
        ("careful", "nearly full", "{}"),
    ]
    assert len(recorded.flat("events", limit=3)) == 3


def test_a_hang_is_a_region_and_one_that_lasts_is_drawn_up_to_now(recorded):
    (over,) = recorded.flat("problems", session=recorded.sessions["recovered"], kind="hang")
    assert over["timeEnd"] == over["ended_at"] > over["time"]
    (lasts,) = recorded.flat("problems", session=recorded.sessions["hung"])
    assert lasts["ended_at"] is None
    assert lasts["timeEnd"] > recorded.now / 1_000 - 1_000
    assert {row["problem"] for row in recorded.flat("problems")} == {"hang", "crash"}


def test_groups_count_the_same_hang(recorded):
    (row,) = recorded.flat("groups", kind="hang")
    assert (row["count"], row["sessions"], row["versions"]) == (2, 2, "1.1, 1.0") or row[
        "versions"
    ] == "1.0, 1.1"
    assert "save" in row["title"]


def test_a_state_is_a_row_a_value(recorded):
    rows = recorded.flat("state", session=recorded.sessions["active"])
    assert {row["path"]: (row["value"], row["type"]) for row in rows} == {
        "/window/width": ("800", "number"),
        "/window/title": ("a.txt", "string"),
        "/recent/0": ("b", "string"),
        "/ok": ("null", "null"),
    }
    before = recorded.flat(
        "state", session=recorded.sessions["active"], at=recorded.now // 1_000_000 - 86_400
    )
    assert before == []


def test_a_states_paths_are_json_pointers_and_no_value_is_left_out():
    rows = state_rows({"a/b": {"~": True}, "empty": {}, "list": [], "deep": [[1.5]]}, 99)
    assert [(row.path, row.value, row.type) for row in rows] == [
        ("/a~1b/~0", "true", "boolean"),
        ("/empty", "{}", "object"),
        ("/list", "[]", "array"),
        ("/deep/0/0", "1.5", "number"),
    ]
    assert len(state_rows({str(n): n for n in range(9)}, 4)) == 4


def test_names_are_in_order_and_sessions_newest_first(recorded):
    def names(**params):
        return [row["__value"] for row in recorded.flat("names", **params)]

    assert names(kind="product") == ["editor"]
    assert names(kind="version") == ["1.0", "1.1"]
    assert names(kind="version", product="no such") == []
    assert names(kind="environment") == ["demo"]
    assert names(kind="metric") == ["fps", "memory"]
    assert {"saved", "careful"} <= set(names(kind="event"))
    assert set(names(kind="session")) == set(recorded.sessions.values())


def test_the_raw_export_can_be_narrowed(recorded):
    def ids(**params):
        return [session["id"] for session in recorded.ask("/api/grafana/sessions", **params)]

    assert len(ids()) == 7
    assert ids(status="hung") == [recorded.sessions["hung"]]
    assert ids(status="hung", limit=9) == [recorded.sessions["hung"]]
    assert len(ids(limit=3)) == 3
    assert set(ids(limit=3)) < set(ids(version="1.1") + ids(version="1.0"))
    assert ids(product="no such") == ids(product="no such", limit=3) == []
    assert len(ids(**{"from": recorded.now // 1_000_000 - 600})) == 4


def test_the_raw_export_can_leave_the_long_lists_out_or_cut_them_to_the_newest(recorded):
    bare = recorded.ask("/api/grafana/sessions", limit=9, events=0, metrics=0)
    assert not any("events" in session or "metrics" in session for session in bare)
    whole = recorded.ask("/api/grafana/sessions", limit=9)
    last = recorded.ask("/api/grafana/sessions", limit=9, last=2)
    assert [session["events"] for session in last] == [session["events"][-2:] for session in whole]
    assert [session["metrics"] for session in last] == [session["metrics"][-2:] for session in whole]


def test_so_long_a_time_is_shown_in_longer_spans_than_asked_for(recorded):
    since = recorded.now // 1_000_000 - 90 * 86_400
    rows = recorded.flat("reliability", interval="hour", **{"from": since, "to": recorded.now})
    assert all(row["time"] % 86_400_000 == 0 for row in rows)
    rows = recorded.flat(
        "reliability", interval="hour", max_points=9_999, **{"from": since, "to": recorded.now}
    )
    assert not all(row["time"] % 86_400_000 == 0 for row in rows)


def test_prometheus_is_told_where_sessions_stand(recorded):
    text = recorded.text("/metrics")
    assert 'datacat_sessions{product="editor",status="hung",version="1.1"} 1.0' in text
    assert 'datacat_sessions{product="editor",status="ended",version="1.1"} 2.0' in text
    assert 'datacat_sessions_ever_hung{product="editor",version="1.0"} 1.0' in text
    assert re.search(r"^datacat_records_total [1-9]", text, re.MULTILINE)
    assert "datacat_queue_records 0.0" in text
    assert "# TYPE datacat_sessions gauge" in text
