"""One session's events and metrics, a page at a time, in both directions."""

import uuid

import msgspec
import pytest

NOON = 1_732_363_200_000_000
LEVELS = ("debug", "info", "warning", "error", "fatal")


@pytest.fixture
def session_id(api):
    """25 events and as many metrics, a second apart."""
    new = str(uuid.uuid4())
    records = [{"seq": 1, "time": NOON, "type": "start"}]
    for n in range(25):
        time = NOON + n * 1_000_000
        event = {"type": "event", "name": f"event-{n % 3}", "level": LEVELS[n % 5], "data": {"n": n}}
        metric = {
            "type": "metric",
            "name": "fps",
            "value": n,
            "tags": ["scene:menu"] if n % 2 else ["a,b", "c"],
        }
        records += [{"seq": len(records) + 1, "time": time, **event}]
        records += [{"seq": len(records) + 1, "time": time, **metric}]
    status, _ = api.call(
        "POST", f"/api/sessions/{new}/records", b"\n".join(map(msgspec.json.encode, records))
    )
    assert status == 200
    return new


def page(api, session_id, query, what="events"):
    status, answer = api.call("GET", f"/api/sessions/{session_id}/{what}?{query}")
    assert status == 200, answer
    return [row["number"] for row in answer[what]], answer["previous"], answer["next"]


def test_without_a_place_the_newest_are_answered_oldest_first(api, session_id):
    assert page(api, session_id, "limit=3") == ([23, 24, 25], 23, None)
    assert page(api, session_id, "limit=3", "metrics") == ([23, 24, 25], 23, None)


@pytest.mark.parametrize("what", ["events", "metrics"])
def test_pages_go_on_to_both_sides_without_a_gap(api, session_id, what):
    back: list[int] = []
    before = 26
    while before is not None:
        numbers, before, _ = page(api, session_id, f"limit=10&before={before}", what)
        back = numbers + back
    there: list[int] = []
    after = 0
    while after is not None:
        numbers, _, after = page(api, session_id, f"limit=10&after={after}", what)
        there += numbers
    assert back == there == list(range(1, 26))


def test_an_event_is_answered_as_it_is_in_the_whole_session(api, session_id):
    _, answer = api.call("GET", f"/api/sessions/{session_id}/events?after=0&limit=1")
    (first,) = answer["events"]
    assert first.pop("number") == 1
    assert first == api.get(session_id)["events"][0]
    _, answer = api.call("GET", f"/api/sessions/{session_id}/metrics?after=24")
    assert answer["metrics"] == [{"number": 25, **api.get(session_id)["metrics"][24]}]


def test_events_are_filtered_by_name_level_and_time(api, session_id):
    assert page(api, session_id, "after=0&limit=2&name=event-1") == ([2, 5], None, 5)
    assert page(api, session_id, "limit=2&name=event-1&name=event-2") == ([23, 24], 23, None)
    assert page(api, session_id, "after=20&level=error") == ([24, 25], 21, None)
    assert page(api, session_id, f"after=0&from={NOON + 5_000_000}&to={NOON + 7_000_000}")[0] == [6, 7]
    assert page(api, session_id, "name=unknown") == ([], None, None)


def test_metrics_are_filtered_by_name_and_by_all_tags(api, session_id):
    assert page(api, session_id, "after=20&tag=scene:menu", "metrics")[0] == [22, 24]
    assert page(api, session_id, "after=20&tag=a,b&tag=c", "metrics")[0] == [21, 23, 25]
    assert page(api, session_id, "tag=c&tag=scene:menu", "metrics")[0] == []
    assert page(api, session_id, "name=unknown", "metrics")[0] == []


def test_a_page_beyond_the_end_is_empty_and_goes_on_when_there_is_more(api, session_id):
    assert page(api, session_id, "after=25") == ([], 26, None)
    api.call("POST", f"/api/sessions/{session_id}/events", {"name": "late"})
    assert page(api, session_id, "after=25")[0] == [26]


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("level=bad", "wrong_value", "level"),
        ("after=-1", "wrong_value", "after"),
        ("before=0", "wrong_value", "before"),
        ("limit=1001", "wrong_value", "limit"),
        ("from=noon", "bad_timestamp", "from"),
    ],
)
def test_a_question_that_means_nothing_is_answered_with_what_to_mend(api, session_id, query, code, field):
    status, problem = api.call("GET", f"/api/sessions/{session_id}/events?{query}")
    assert (status, problem["code"], problem["field"]) == (422, code, field)


@pytest.mark.parametrize("what", ["events", "metrics"])
def test_a_session_that_does_not_exist_has_no_pages(api, what):
    status, problem = api.call("GET", f"/api/sessions/{uuid.uuid4()}/{what}")
    assert (status, problem["code"]) == (404, "unknown_session")


@pytest.fixture
def wave(api):
    """A session with a slow wave of 1,000 points, one spike in it, and another metric beside."""
    session_id = api.create()
    at = 1_732_380_000_000_000
    lines = [{"seq": 1, "time": at, "type": "start"}]
    for n in range(1_000):
        value = 100.0 if n == 777 else n % 100 / 100
        lines.append(
            {
                "seq": n + 2,
                "time": at + n * 1_000_000,
                "type": "metric",
                "name": "load",
                "value": value,
                "tags": ["cpu:0"],
            }
        )
    lines.append({"seq": 1_002, "time": at, "type": "metric", "name": "fps", "value": 60, "unit": "1"})
    body = b"\n".join(msgspec.json.encode(line) for line in lines)
    assert api.call("POST", f"/api/sessions/{session_id}/records", body)[0] == 200
    return session_id


WHOLE = "from=1732380000&to=1732381000"


def curve(api, wave, query):
    status, answer = api.call("GET", f"/api/sessions/{wave}/metrics?{query}")
    assert status == 200, answer
    return answer["series"]


def test_metrics_come_as_curves_of_few_points(api, wave):
    fps, load = curve(api, wave, f"max_points=50&aggregate=max&{WHOLE}")
    assert (fps["name"], fps["unit"], len(fps["points"])) == ("fps", "1", 1)
    assert (load["name"], load["kind"], load["tags"]) == ("load", "gauge", ["cpu:0"])
    assert 40 <= len(load["points"]) <= 50
    assert max(point["value"] for point in load["points"]) == 100.0
    times = [point["timestamp"] for point in load["points"]]
    assert times == sorted(times)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 10, 49])
@pytest.mark.parametrize("aggregate", ["avg", "last", "lttb"])
def test_there_are_no_more_points_than_asked_for_and_none_from_before_the_time_asked_for(
    api, wave, most, aggregate
):
    (load,) = curve(api, wave, f"name=load&max_points={most}&aggregate={aggregate}&{WHOLE}")
    assert len(load["points"]) <= most
    assert min(point["timestamp"] for point in load["points"]) >= "2024-11-23T16:40:00"


@pytest.mark.parametrize(("aggregate", "highest"), [("avg", 6), ("min", 1), ("last", 1)])
def test_a_point_is_what_is_asked_for_of_its_span(api, wave, aggregate, highest):
    (load,) = curve(api, wave, f"name=load&max_points=50&aggregate={aggregate}&{WHOLE}")
    assert max(point["value"] for point in load["points"]) <= highest


@pytest.mark.parametrize("aggregate", ["avg", "min", "max", "last", "lttb"])
def test_a_curve_has_as_many_points_as_asked_for_however_long_the_session_is_and_whenever_it_was_made(
    api, aggregate
):
    session_id = api.create()
    at = 1_732_380_000_000_000
    for n in range(20):
        body = {"name": "burst", "value": n, "timestamp": at + n * 1_000}
        assert api.call("POST", f"/api/sessions/{session_id}/metrics", body)[0] == 200
    asked = f"max_points=5&aggregate={aggregate}"
    for query in (asked, f"{asked}&from=2024-01-01T00:00:00Z"):
        (burst,) = curve(api, session_id, query)
        times = [point["timestamp"] for point in burst["points"]]
        assert len(times) == 5
        assert times[0] == "2024-11-23T16:40:00.000000Z"
        assert times[-1] <= "2024-11-23T16:40:00.019000Z"


def test_a_point_recorded_before_its_session_was_made_keeps_its_time(api):
    session_id = api.create()
    body = {"name": "early", "value": 1, "timestamp": "2024-11-23T16:40:00Z"}
    assert api.call("POST", f"/api/sessions/{session_id}/metrics", body)[0] == 200
    (early,) = curve(api, session_id, "max_points=100")
    assert early["points"] == [{"timestamp": "2024-11-23T16:40:00.000000Z", "value": 1.0}]


def test_lttb_keeps_what_stands_out_and_both_ends_as_they_were_recorded(api, wave):
    (load,) = curve(api, wave, f"tag=cpu:0&max_points=30&aggregate=lttb&{WHOLE}")
    points = [(point["timestamp"], point["value"]) for point in load["points"]]
    assert len(points) == 30
    assert points[0] == ("2024-11-23T16:40:00.000000Z", 0.0)
    assert ("2024-11-23T16:52:57.000000Z", 100.0) in points
    assert points[-1][0] == "2024-11-23T16:56:39.000000Z"


def test_few_points_come_as_they_were_recorded(api, wave):
    (load,) = curve(api, wave, "name=load&max_points=10&from=1732380000&to=1732380005")
    assert [point["value"] for point in load["points"]] == [0.0, 0.01, 0.02, 0.03, 0.04]


@pytest.mark.parametrize("query", ["max_points=5&after=3", "max_points=5&aggregate=most", "max_points=0"])
def test_a_curve_that_cannot_be_drawn_is_told(api, wave, query):
    status, problem = api.call("GET", f"/api/sessions/{wave}/metrics?{query}")
    assert (status, problem["code"]) == (422, "wrong_value")
