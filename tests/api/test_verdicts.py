import uuid
from typing import Any

import pytest

from datacat.wire.codec import encode

SECOND = 1_000_000
NOON = 1_732_363_200_000_000  # 2024-11-23T12:00:00Z, a Saturday
STACKS = [
    {
        "thread": "loader",
        "frames": [{"file": "/app/loader.py", "line": 3, "function": "load", "code": "read()"}],
    },
    {
        "thread": "MainThread",
        "frames": [
            {"file": "/app/worker.py", "line": 31, "function": "main", "code": "item = q.get()"},
            {"file": "/usr/lib/python3.11/queue.py", "line": 171, "function": "Queue.get", "code": "wait()"},
        ],
    },
]
HUNG: dict[str, Any] = {
    "type": "event",
    "name": "application_appears_hung",
    "data": {
        "monitor": "main",
        "kind": "blocked",
        "thread": "MainThread",
        "seconds_since_heartbeat": 2,
        "gil_held": False,
        "stacks": STACKS,
    },
}


@pytest.fixture
def product():
    return f"product-{uuid.uuid4()}"


class Program:
    """Records a session at given seconds after noon."""

    def __init__(self, api, **start):
        self.api = api
        self.id = str(uuid.uuid4())
        self.seqs: dict[str, int] = {}
        self.tell(0, {"type": "start", **start})

    def tell(self, second, record, origin="app"):
        seq = self.seqs[origin] = self.seqs.get(origin, 0) + 1
        line = encode({"seq": seq, "time": NOON + int(second * SECOND), **record})
        status, answer = self.api.call(
            "POST", f"/api/sessions/{self.id}/records", line, Datacat_Origin=origin
        )
        assert (status, answer["rejected"]) == (200, [])
        return self

    def hang(self, second, **data):
        return self.tell(second, HUNG | {"data": HUNG["data"] | data})

    def recover(self, second, seconds_hung):
        data = {"monitor": "main", "seconds_hung": seconds_hung}
        return self.tell(second, {"type": "event", "name": "application_recovered", "data": data})

    def die(self, second, cause="signal", origin="watchdog", **data):
        return self.tell(second, {"type": "exit", "cause": cause, "data": data}, origin)

    def dossier(self):
        status, found = self.api.call("GET", f"/api/sessions/{self.id}/dossier")
        assert status == 200
        return found


def test_a_session_shows_its_hangs_with_their_stacks_and_how_it_went(api, product):
    program = Program(api, product=product, contact_timeout=30.0)
    program.hang(10).recover(12.5, 4.5).hang(20).die(30, signal=9, core_dumped=False)
    session = api.get(program.id)
    first, second = session["hangs"]
    assert (first["start"], first["end"], first["seconds"]) == (
        "2024-11-23T12:00:08.000000Z",
        "2024-11-23T12:00:12.500000Z",
        4.5,
    )
    assert first["title"] == "blocked in Queue.get (worker.py:31): item = q.get()"
    assert first["fingerprint"] == second["fingerprint"]
    assert (first["kind"], first["monitor"], first["thread"], first["gil_held"]) == (
        "blocked", "main", "MainThread", False,
    )  # fmt: skip
    assert second["stacks"] == STACKS
    assert (session["status"], session["cause"], session["hung_at_end"]) == (
        "crashed",
        "killed_while_hung",
        True,
    )
    assert session["exit"] == {"cause": "signal", "signal": 9, "core_dumped": False}
    assert (session["time_to_first_hang"], session["contact_timeout"]) == (8.0, 30.0)
    (exported,) = [each for each in api.call("GET", "/api/grafana/sessions")[1] if each["id"] == program.id]
    assert "stacks" not in exported["hangs"][0]
    assert exported["hangs"][0]["title"] == first["title"]


def test_a_session_without_problems_says_so(api):
    session = api.get(api.create())
    assert (session["hangs"], session["exit"], session["time_to_first_hang"]) == ([], None, None)
    assert session["contact_timeout"] is None


def test_problems_are_listed_newest_first_and_filtered(api, product):
    Program(api, product=product, version="1", environment="prod").hang(10).recover(12, 4)
    crashed = Program(api, product=product, version="2").die(30, "exit_code", "parent", exit_code=3)

    def problems(query=""):
        status, found = api.call("GET", f"/api/problems?product={product}{query}")
        assert status == 200
        return found

    crash, hang = problems()
    assert crash["id"] > hang["id"]
    assert crash == {
        "id": crash["id"], "kind": "crash", "number": 1, "session_id": crashed.id, "product": product, "version": "2",
        "environment": None, "title": "exit code 3", "cause": "exit_code", "hang_kind": None, "monitor": None,
        "fingerprint": crash["fingerprint"], "start": "2024-11-23T12:00:30.000000Z",
        "end": "2024-11-23T12:00:30.000000Z", "seconds": None,
    }  # fmt: skip
    assert (hang["hang_kind"], hang["seconds"], hang["cause"]) == ("blocked", 4.0, None)
    assert problems("&kind=hang") == [hang]
    assert problems("&version=2&limit=5") == [crash]
    assert problems("&environment=prod") == [hang]
    assert problems("&limit=1") == [crash]
    assert problems("&from=2024-11-23T12:00:30Z") == [crash]
    assert problems(f"&to={NOON + 30 * SECOND}") == [hang]
    assert problems("&kind=lost") == []


def test_hangs_in_one_place_are_one_group_over_all_versions(api, product):
    for n in range(3):
        program = Program(api, product=product, version=f"{n % 2}").hang(10 + n).recover(13 + n, 2)
    other = [
        {"thread": "MainThread", "frames": [{"file": "a.py", "line": 1, "function": "other", "code": ""}]}
    ]
    Program(api, product=product, version="1").hang(10, stacks=other)
    first, second = api.call("GET", f"/api/hangs?product={product}")[1]
    assert first == {
        "fingerprint": first["fingerprint"], "title": "blocked in Queue.get (worker.py:31): item = q.get()",
        "count": 3, "sessions": 3, "first_seen": "2024-11-23T12:00:08.000000Z",
        "last_seen": "2024-11-23T12:00:10.000000Z", "products": [product],
        "versions": [
            {"product": product, "version": "0", "count": 2}, {"product": product, "version": "1", "count": 1},
        ],
        "sample_session_id": program.id,
    }  # fmt: skip
    assert (second["count"], second["title"]) == (1, "blocked in other (a.py:1)")
    assert api.call("GET", f"/api/hangs?product={product}&limit=1")[1] == [first]
    assert api.call("GET", f"/api/hangs?product={product}&version=9")[1] == []


def test_crashes_in_one_place_are_one_group(api, product):
    traceback = (
        'Traceback (most recent call last):\n  File "/v%d/app.py", line %d, in parse\nValueError: %d\n'
    )
    for n in range(2):
        details = {"type": "ValueError", "message": str(n), "traceback": traceback % (n, n, n)}
        Program(api, product=product, version=str(n)).die(10 + n, "exception", "app", **details)
    Program(api, product=product).die(5, signal=11)
    groups = api.call("GET", f"/api/crashes?product={product}")[1]
    assert [(each["count"], each["title"]) for each in groups] == [
        (2, "ValueError: 1, in parse (app.py:1)"),
        (1, "killed by SIGSEGV"),
    ]


def test_a_dossier_is_the_verdict_with_all_the_evidence(api, product):
    program = Program(api, product=product)
    for n in range(120):
        program.tell(n, {"type": "event", "name": f"e{n}"})
        program.tell(n, {"type": "metric", "name": "fps", "value": n, "unit": "1", "tags": ["scene:menu"]})
        program.tell(n, {"type": "state", "merge": {"n": n}})
    program.hang(125).die(140, signal=9)
    found = program.dossier()
    assert found["verdict"] == {
        "status": "crashed",
        "cause": "killed_while_hung",
        "sentence": "crashed: killed by SIGKILL while hung for 17.0 s in Queue.get (worker.py:31)",
    }
    assert [event["name"] for event in found["events"]][:2] == ["e21", "e22"]
    assert len(found["events"]) == 100
    assert found["session"]["state"] == {"n": 119}
    assert found["state_before"] == {
        "at": "2024-11-23T12:01:50.000000Z",
        "seconds": 30.0,
        "state": {"n": 110},
    }
    (fps,) = found["metrics"]
    assert (fps["name"], fps["kind"], fps["unit"], fps["tags"]) == ("fps", "gauge", "1", ["scene:menu"])
    assert [point["value"] for point in fps["points"]] == list(range(100, 120))
    assert found["session"]["hangs"][0]["stacks"] == STACKS
    assert (found["session"]["lost"], found["session"]["exit"]["signal"]) == (0, 9)
    assert "events" not in found["session"]


def test_a_dossier_is_found_by_the_first_digits_of_its_session(api):
    ids = [f"{uuid.uuid4()}" for _ in range(2)]
    ids[1] = ids[0][:30] + ("1" if ids[0][30] == "0" else "0") * 6
    for session_id in ids:
        api.create(id=session_id)
    status, found = api.call("GET", f"/api/sessions/{ids[0][:31]}/dossier")
    assert (status, found["session"]["id"]) == (200, ids[0])
    assert found["verdict"]["sentence"] == "running"
    status, problem = api.call("GET", f"/api/sessions/{ids[0][:30]}/dossier")
    assert (status, problem["code"]) == (422, "ambiguous_id")


@pytest.mark.parametrize("call", ["", "/events", "/metrics", "/state", "/state/changes", "/state/diff"])
def test_whatever_reads_a_session_finds_it_by_its_first_digits(api, call):
    session_id = api.create()
    assert api.call("GET", f"/api/sessions/{session_id[:31]}{call}")[0] == 200
    assert api.call("GET", f"/api/sessions/{session_id[:3]}{call}")[0] == 404


def test_what_changes_a_session_wants_its_whole_id(api):
    session_id = api.create()
    cut = session_id[:31]
    assert api.call("DELETE", f"/api/sessions/{cut}")[0] == 404
    assert api.call("POST", f"/api/sessions/{cut}/events", {"name": "saved"})[0] == 404
    assert api.call("GET", f"/api/sessions/{session_id}")[1]["events"] == []


@pytest.mark.parametrize("session_id", [str(uuid.UUID(int=7)), "editor-1", "01", "ffffffff" * 5])
def test_a_dossier_of_nobody_is_404(api, session_id):
    status, problem = api.call("GET", f"/api/sessions/{session_id}/dossier")
    assert (status, problem["code"]) == (404, "unknown_session")


def test_reliability_is_told_in_rates_with_their_intervals(api, product):
    Program(api, product=product, version="1").tell(3600, {"type": "end"})
    Program(api, product=product, version="1").hang(10).recover(13, 36).tell(3600, {"type": "end"})
    Program(api, product=product, version="2").die(0)
    (all_of_them,) = api.call("GET", f"/api/reliability?product={product}&bucket=none")[1]
    intervals = {key: all_of_them.pop(f"{key}_interval") for key in ("crash_free", "hang_free", "lost")}
    assert all_of_them == {
        "bucket": None, "product": None, "version": None, "environment": None, "sessions": 3, "crashed": 1,
        "hung": 1, "lost": 0, "crash_free_rate": 2 / 3, "hang_free_rate": 2 / 3, "lost_rate": 0.0,
        "hang_seconds": 36.0, "hang_seconds_per_hour": 18.0,
    }  # fmt: skip
    assert [round(bound, 4) for bound in intervals["crash_free"]] == [0.2077, 0.9385]
    assert intervals["lost"][0] == 0.0
    by_version = api.call("GET", f"/api/reliability?product={product}&bucket=week&by=version,product")[1]
    assert [(row["bucket"], row["product"], row["version"], row["sessions"]) for row in by_version] == [
        ("2024-11-18T00:00:00.000000Z", product, "1", 2),
        ("2024-11-18T00:00:00.000000Z", product, "2", 1),
    ]
    assert api.call("GET", f"/api/reliability?product={product}&to={NOON}")[1] == []


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ("problems?limit=0", "limit", "wrong_value"),
        ("problems?limit=many", "limit", "wrong_value"),
        ("problems?kind=sorrow", "kind", "wrong_value"),
        ("hangs?from=yesterday", "from", "bad_timestamp"),
        ("crashes?to=2024-11-23", "to", "bad_timestamp"),
        ("reliability?bucket=year", "bucket", "wrong_value"),
        ("reliability?by=product,moon", "by", "wrong_value"),
    ],
)
def test_a_filter_that_cannot_be_is_422_and_named(api, query, field, code):
    status, problem = api.call("GET", f"/api/{query}")
    assert (status, problem["code"], problem["field"]) == (422, code, field), problem
