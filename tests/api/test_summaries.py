"""``GET /api/sessions``: the list, newest first, a page at a time."""

import uuid

import msgspec
import pytest


@pytest.fixture
def product():
    return f"product-{uuid.uuid4()}"


def listed(api, query):
    status, answer = api.call("GET", f"/api/sessions?{query}")
    assert status == 200, answer
    return answer


def test_a_session_is_a_line_with_its_verdict(api, product):
    session_id = api.create(
        product=product, version="1.2", environment="prod", hostname="h", pid=7, tags=["a:b"]
    )
    api.call("POST", f"/api/sessions/{session_id}/events", {"name": "saved"})
    api.call("POST", f"/api/sessions/{session_id}/metrics", {"name": "fps", "value": 60})
    api.call("POST", f"/api/sessions/{session_id}/end")
    (line,) = listed(api, f"product={product}")["sessions"]
    assert {key: line[key] for key in ("id", "product", "version", "environment", "hostname", "pid", "tags")} == {
        "id": session_id, "product": product, "version": "1.2", "environment": "prod", "hostname": "h", "pid": 7,
        "tags": ["a:b"],
    }  # fmt: skip
    assert (line["status"], line["active"], line["cause"]) == ("ended", False, "clean")
    assert (line["events"], line["metrics"], line["lost"], line["hangs"]) == (1, 1, 0, 0)
    assert line["last_event"] == "saved"
    assert line["verdict"] == "ended normally"
    assert 0 <= line["duration"] < 60
    assert line["created_at"] <= line["ended_at"]
    assert "state" not in line


def test_pages_are_disjoint_and_whole_while_sessions_arrive(api, product):
    ids = [api.create(product=product) for _ in range(7)]
    seen, query = [], f"product={product}&limit=3"
    answer = listed(api, query)
    while True:
        seen += [line["id"] for line in answer["sessions"]]
        if answer["next"] is None:
            break
        assert len(answer["sessions"]) == 3
        assert (answer["counts"] is None) == (len(seen) > 3)
        api.create(product=product)
        answer = listed(api, f"{query}&cursor={answer['next']}")
    assert seen == ids[::-1]


def test_the_last_page_that_is_full_says_that_it_is_the_last(api, product):
    for _ in range(2):
        api.create(product=product)
    assert listed(api, f"product={product}&limit=2")["next"] is None


def test_statuses_are_counted_whatever_statuses_are_listed(api, product):
    ended, _, other = [api.create(product=product, version=version) for version in ("1", "1", "2")]
    for each in (ended, other):
        api.call("POST", f"/api/sessions/{each}/end")
    answer = listed(api, f"product={product}&status=ended,crashed")
    assert [line["id"] for line in answer["sessions"]] == [other, ended]
    assert answer["counts"] == {"active": 1, "hung": 0, "ended": 2, "crashed": 0, "lost": 0}
    assert listed(api, f"product={product}&version=2")["counts"]["ended"] == 1
    nothing = listed(api, f"product={product}-none")
    assert nothing == {
        "sessions": [], "next": None, "counts": {"active": 0, "hung": 0, "ended": 0, "crashed": 0, "lost": 0},
    }  # fmt: skip


def test_sessions_of_a_time_are_those_that_began_in_it(api, product):
    session_id = api.create(product=product)
    began = api.get(session_id)["created_at"]
    assert len(listed(api, f"product={product}&from={began}")["sessions"]) == 1
    assert listed(api, f"product={product}&to={began}")["sessions"] == []


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("cursor=1", "bad_cursor", "cursor"),
        ("cursor=newest.99999999999999999999.01934f5e-0000-7000-8000-000000000001", "bad_cursor", "cursor"),
        ("cursor=newest.5.01934f5e-0000-7000-8000-------------", "bad_cursor", "cursor"),
        ("cursor=newest.5.01934f5e-0000-7000-8000-000000000001&sort=longest", "bad_cursor", "cursor"),
        ("stauts=crashed", "unknown_parameter", "stauts"),
        ("status=dead", "wrong_value", "status"),
        ("limit=0", "wrong_value", "limit"),
        ("limit=", "wrong_value", "limit"),
        ("status=", "wrong_value", "status"),
        ("cursor=", "wrong_value", "cursor"),
        ("from=", "wrong_value", "from"),
        ("to=", "wrong_value", "to"),
        ("product=rest&product=x", "wrong_value", "product"),
        ("status=hung&status=lost", "wrong_value", "status"),
        ("from=yesterday", "bad_timestamp", "from"),
    ],
)
def test_a_question_that_means_nothing_is_answered_with_what_to_mend(api, query, code, field):
    status, problem = api.call("GET", f"/api/sessions?{query}")
    assert (status, problem["code"], problem["field"]) == (422, code, field)
    assert problem["detail"]


def test_what_says_the_same_twice_or_asks_for_all_is_no_mistake(api, product):
    api.create(product=product)
    for query in (
        f"product={product}&product={product}",
        f"product={product}&version=&environment=*&hostname=",
    ):
        assert len(listed(api, query)["sessions"]) == 1


@pytest.fixture
def fleet(api, product):
    """Three sessions on two hosts, by name."""
    made = {}
    for name, host, tags, state, message in (
        (
            "first",
            "alpha",
            ["gpu:a100", "night"],
            {"step": "copy", "disk": {"free": 12}},
            "Disk /data is full (404)",
        ),
        ("second", "beta", ["gpu:a100"], {"step": "copy", "disk": {"free": "12"}}, "disk is fine"),
        ("third", "alpha", ["night"], {"step": "verify"}, None),
    ):
        made[name] = api.create(product=product, hostname=host, tags=tags)
        api.call("POST", f"/api/sessions/{made[name]}/state", state)
        api.call("POST", f"/api/sessions/{made[name]}/events", {"name": f"{name}_step", "message": message})
        api.call("POST", f"/api/sessions/{made[name]}/events", {"name": "saved"})
    return made


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("hostname=alpha", ["third", "first"]),
        ("tag=night", ["third", "first"]),
        ("tag=night&tag=gpu:a100", ["first"]),
        ("event=saved", ["third", "second", "first"]),
        ("event=second_step&event=saved", ["second"]),
        ("event=never", []),
        ("state=step=copy", ["second", "first"]),
        ("state=disk.free=12", ["second", "first"]),
        ("state=/disk/free=12&state=step=copy&hostname=beta", ["second"]),
        ("state=disk=12", []),
        ("text=DISK", ["second", "first"]),
        ("text=full+404", ["first"]),
        ("text=third+step", ["third"]),
        ("text=alpha", ["third", "first"]),
        ("text=disk&tag=night", ["first"]),
        ("sort=oldest", ["first", "second", "third"]),
        ("sort=oldest&text=step", ["first", "second", "third"]),
        ("sort=ended", []),
        ("status=crashed&text=disk", []),
    ],
)
def test_what_is_asked_for_is_found_and_nothing_else(api, product, fleet, query, wanted):
    found = listed(api, f"product={product}&{query}")["sessions"]
    assert [session["id"] for session in found] == [fleet[name] for name in wanted]
    assert listed(api, f"product=another&{query}")["sessions"] == []


def test_what_is_found_is_found_page_by_page(api, product, fleet):
    for query, wanted in (
        ("text=step", ["third", "second", "first"]),
        ("sort=oldest&event=saved", ["first", "second", "third"]),
    ):
        seen, cursor = [], ""
        while True:
            page = listed(api, f"product={product}&{query}&limit=1{cursor}")
            seen += [session["id"] for session in page["sessions"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert seen == [fleet[name] for name in wanted]


def test_sessions_stand_by_when_they_ended_and_by_how_long_they_lasted_and_hung(api, product):
    def at(seconds):
        return 1_732_380_000_000_000 + int(seconds * 1_000_000)

    made = {}
    for name, began, ended, hung in (("long", 0, 50, 2), ("last", 40, 60, 0), ("hung", 5, 10, 4)):
        made[name] = str(uuid.uuid4())
        lines = [{"type": "start", "time": at(began), "product": product}]
        if hung:
            lines.append({"type": "event", "time": at(began), "name": "application_appears_hung"})
            lines.append({"type": "event", "time": at(began + hung), "name": "application_recovered"})
        lines.append({"type": "end", "time": at(ended)})
        body = b"\n".join(msgspec.json.encode({"seq": n, **line}) for n, line in enumerate(lines, 1))
        assert api.call("POST", f"/api/sessions/{made[name]}/records", body)[0] == 200
    for sort, wanted in (
        ("ended", ["last", "long", "hung"]),
        ("longest", ["long", "last", "hung"]),
        ("hung", ["hung", "long"]),
        ("newest", ["last", "hung", "long"]),
    ):
        found = listed(api, f"product={product}&sort={sort}")["sessions"]
        assert [session["id"] for session in found] == [made[name] for name in wanted], sort


@pytest.mark.parametrize(
    ("query", "field"), [("state=step", "state"), ("text=%3F%3F", "text"), ("sort=best", "sort")]
)
def test_a_question_that_cannot_be_understood_is_told(api, query, field):
    status, problem = api.call("GET", f"/api/sessions?{query}")
    assert (status, problem["code"], problem["field"]) == (422, "wrong_value", field)
