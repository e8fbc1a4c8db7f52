"""Keys, through a real service: who may ask what."""

import json
from contextlib import closing

import pytest
from tests.api.conftest import Api
from tests.conftest import Service
from tests.forks import run_datacat

from datacat.model.keys import new_key
from datacat.store.sqlite.keys import SqliteKeyStore


def keys(database, *arguments):
    done = run_datacat("keys", *arguments, "--database", database)
    assert done.returncode == 0, done.stderr
    return done.stdout


def make(database, name, *scopes, **bounds):
    """A new key: its id, and what opens with it."""
    key, text = new_key(name, scopes or ("ingest",), 1, **bounds)
    with closing(SqliteKeyStore(database)) as store:
        store.add(key)
    return key.id, text


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A service whose keys were made before it was started."""
    database = tmp_path_factory.mktemp("keys") / "datacat.db"
    made = {
        "ingest": make(database, "ingest"),
        "read": make(database, "read", "read"),
        "both": make(database, "both", "read", "ingest"),
        "admin": make(database, "admin", "admin"),
        "editor": make(database, "editor", "ingest", "read", product="editor"),
        "slow": make(database, "slow", records_per_second=5),
    }
    service = Service(database, "--durability", "normal", "--host", "127.0.0.1")
    yield service, {name: text for name, (_, text) in made.items()}
    service.stop()


@pytest.fixture
def api(kept):
    return Api(kept[0].url)


@pytest.fixture
def bearer(kept):
    return lambda name: {"Authorization": f"Bearer {kept[1][name]}"}


CALLS = [
    ("GET", "/api/sessions", "read"),
    ("GET", "/api/products", "read"),
    ("GET", "/metrics", "read"),
    ("GET", "/api/grafana/sessions", "read"),
    ("GET", "/api/grafana/flat/summary", "read"),
    ("POST", "/api/sessions", "ingest"),
]


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
def test_a_call_needs_a_key_with_its_scope(api, bearer, method, path, scope):
    for name in ("ingest", "read", "both", "admin"):
        answer = api.raw(method, path, **bearer(name))
        if name in (scope, "both", "admin"):
            assert answer.status == 200, answer.data
        else:
            problem = json.loads(answer.data)
            assert (answer.status, problem["code"]) == (403, "key_forbids")
            assert f"needs a key with the scope {scope}" in problem["detail"]


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "key_missing"),
        ("Bearer", "key_unknown"),
        ("Bearer datacat_000000000000_" + "x" * 43, "key_unknown"),
        ("Basic YTpi", "key_unknown"),
    ],
)
def test_without_a_key_that_opens_nothing_is_answered(api, method, path, scope, header, code):
    answer = api.raw(method, path, **({"Authorization": header} if header else {}))
    assert (answer.status, json.loads(answer.data)["code"]) == (401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_the_secret_of_another_key_does_not_open(api, kept):
    ingest, read = kept[1]["ingest"], kept[1]["read"]
    mixed = read[: len("datacat_000000000000_")] + ingest[len("datacat_000000000000_") :]
    status, problem = api.call("GET", "/api/sessions", Authorization=f"Bearer {mixed}")
    assert (status, problem["code"]) == (401, "key_unknown")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/docs", "/openapi.json"])
def test_health_and_documentation_need_no_key(api, path):
    assert api.raw("GET", path).status == 200


def test_whoever_comes_to_the_front_door_is_shown_the_documentation(api):
    answer = api.raw("GET", "/")
    assert (answer.status, answer.headers["Location"]) == (302, "docs")


def test_who_is_let_in_nowhere_learns_no_paths(api):
    """A path that does not exist says so to anybody; one that does tells nobody what is behind it."""
    assert api.raw("GET", "/api/nothing").status == 404
    assert api.raw("GET", "/api/sessions/0193").status == 401


def test_a_key_of_one_product_records_that_alone(api, bearer):
    editor = bearer("editor")
    status, answer = api.call("POST", "/api/sessions", {}, **editor)
    assert status == 200
    ours = answer["session_id"]
    assert api.call("GET", f"/api/sessions/{ours}", **editor)[1]["product"] == "editor"
    status, problem = api.call("POST", "/api/sessions", {"product": "game"}, **editor)
    assert (status, problem["code"]) == (403, "key_forbids")
    game = api.call("POST", "/api/sessions", {"product": "game"}, **bearer("admin"))[1]["session_id"]
    event = {"name": "saved"}
    status, problem = api.call("POST", f"/api/sessions/{game}/events", event, **editor)
    assert (status, problem["code"]) == (403, "key_forbids")
    assert "'game'" in problem["detail"]
    assert api.call("POST", f"/api/sessions/{ours}/events", event, **editor)[0] == 200
    assert api.call("GET", f"/api/sessions/{game}", **bearer("admin"))[1]["events"] == []


def test_a_key_of_one_product_reads_that_alone(api, bearer):
    editor, admin = bearer("editor"), bearer("admin")
    game = api.call("POST", "/api/sessions", {"product": "game"}, **admin)[1]["session_id"]
    api.call("POST", "/api/sessions", {"product": "editor"}, **editor)
    assert {each["product"] for each in api.call("GET", "/api/sessions", **editor)[1]["sessions"]} == {
        "editor"
    }
    assert {each["product"] for each in api.call("GET", "/api/grafana/sessions", **editor)[1]} == {"editor"}
    assert [each["product"] for each in api.call("GET", "/api/products", **editor)[1]] == ["editor"]
    for call in ("", "/events", "/metrics", "/state", "/state/changes", "/dossier"):
        assert api.call("GET", f"/api/sessions/{game}{call}", **editor)[0] == 404
    assert api.call("GET", "/api/sessions?product=game", **editor)[0] == 403
    assert api.call("GET", "/api/grafana/flat/names?kind=metric", **editor)[0] == 403


def test_a_key_that_brings_too_much_is_told_when_to_come_back(api, bearer):
    slow, path = bearer("slow"), "/api/sessions"
    answers = [api.raw("POST", path, **slow) for _ in range(60)]
    refused = [answer for answer in answers if answer.status == 429]
    assert {answer.status for answer in answers} == {200, 429}
    assert json.loads(refused[0].data)["code"] == "rate_limited"
    assert refused[0].headers["Retry-After"] == "1"
    assert api.raw("POST", path, **bearer("ingest")).status == 200


def test_the_first_key_closes_the_door_and_a_revoked_one_is_refused_at_once(service):
    api = Api(service.url)
    assert api.raw("GET", "/api/sessions").status == 200
    made = json.loads(keys(service.database, "create", "reader", "--scope", "read", "--json"))
    bearer = {"Authorization": f"Bearer {made['key']}"}
    assert api.raw("GET", "/api/sessions").status == 401
    assert api.raw("GET", "/api/sessions", **bearer).status == 200
    keys(service.database, "revoke", made["id"])
    status, problem = api.call("GET", "/api/sessions", **bearer)
    assert (status, problem["code"]) == (401, "key_revoked")
    # The last key that is revoked does not open the door again.
    assert api.raw("GET", "/api/sessions").status == 401


def test_a_key_is_shown_once_and_kept_hashed(tmp_path):
    database = tmp_path / "datacat.db"
    text = keys(database, "create", "ci").strip()
    secret = text.split("_", 2)[2]  # it may have such a mark itself
    for kept in tmp_path.iterdir():
        assert secret.encode() not in kept.read_bytes()
    assert secret not in keys(database, "list") + keys(database, "list", "--json")
    assert "ci" in keys(database, "list")


def test_other_addresses_are_served_where_keys_are_asked(tmp_path):
    database = tmp_path / "datacat.db"
    make(database, "ci")
    service = Service(database, "--host", "0.0.0.0")
    try:
        assert Api(service.url).raw("GET", "/api/sessions").status == 401
    finally:
        service.stop()


def test_pages_of_other_origins_are_answered_only_where_that_is_asked_for(shared_service, tmp_path):
    preflight = {
        "Origin": "https://board.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    closed = Api(shared_service.url).raw("OPTIONS", "/api/sessions", **preflight)
    assert "Access-Control-Allow-Origin" not in closed.headers
    service = Service(tmp_path / "datacat.db", "--cors-origins", "https://board.example")
    try:
        api = Api(service.url)
        opened = api.raw("OPTIONS", "/api/sessions", **preflight)
        assert opened.headers["Access-Control-Allow-Origin"] == "https://board.example"
        assert "authorization" in opened.headers["Access-Control-Allow-Headers"].lower()
        answer = api.raw("GET", "/api/sessions", Origin="https://board.example")
        assert answer.headers["Access-Control-Allow-Origin"] == "https://board.example"
        other = api.raw("GET", "/api/sessions", Origin="https://other.example")
        assert "Access-Control-Allow-Origin" not in other.headers
    finally:
        service.stop()


@pytest.mark.parametrize("origin", ["https://other.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_origin_records_nothing_where_no_key_is_needed(shared_service, origin):
    api = Api(shared_service.url)
    session_id = api.create()
    # What a browser sends for any page without asking first.
    simple = {"Origin": origin, "Content-Type": "text/plain"}
    refused = api.raw("POST", f"/api/sessions/{session_id}/events", b'{"name":"e"}', **simple)
    assert (refused.status, refused.json()["code"], refused.json()["found"]) == (
        403,
        "origin_refused",
        origin,
    )
    assert f"--cors-origins {origin}" in refused.json()["detail"]
    assert api.call("GET", f"/api/sessions/{session_id}/events")[1]["events"] == []
    assert api.raw("GET", f"/api/sessions/{session_id}", Origin=origin).status == 200


def test_our_own_pages_those_asked_in_and_whoever_has_a_key_may_record(api, bearer, shared_service, tmp_path):
    other = {"Origin": "https://board.example"}
    assert api.raw("POST", "/api/sessions", b"{}", **other, **bearer("admin")).status == 200
    ours = Api(shared_service.url)
    assert ours.raw("POST", "/api/sessions", b"{}", Origin=ours.url).status == 200
    for origins in ("https://board.example", "https://*.example", "*"):
        service = Service(tmp_path / f"{len(origins)}.db", "--cors-origins", origins)
        try:
            asked_in = Api(service.url)
            assert asked_in.raw("POST", "/api/sessions", b"{}", **other).status == 200
        finally:
            service.stop()


@pytest.mark.parametrize(
    "path", ["/api/sessions", "/api/live", "/api/products", "/metrics", "/api/grafana/sessions"]
)
def test_a_page_whose_name_leads_to_this_machine_reads_nothing_where_no_key_is_needed(shared_service, path):
    refused = Api(shared_service.url).raw("GET", path, Host="evil.example:8080")
    problem = refused.json()
    assert (refused.status, problem["code"], problem["field"]) == (403, "host_refused", "Host")
    assert "--allowed-hosts evil.example " in problem["detail"]


def test_a_page_whose_name_leads_to_this_machine_records_and_removes_nothing(shared_service):
    api = Api(shared_service.url)
    session_id = api.create()
    page = {"Host": "evil.example:8080", "Origin": "http://evil.example:8080"}
    for method, path in (("POST", "/events"), ("DELETE", "")):
        refused = api.raw(method, f"/api/sessions/{session_id}{path}", b'{"name":"e"}', **page)
        assert (refused.status, refused.json()["code"]) == (403, "host_refused")
    assert api.get(session_id)["events"] == []


def test_a_service_is_asked_by_the_names_it_was_given_and_by_any_by_whoever_has_a_key(api, bearer, tmp_path):
    proxied = {"Host": "datacat.example.org"}
    assert api.raw("GET", "/api/sessions", **proxied, **bearer("read")).status == 200
    service = Service(tmp_path / "datacat.db", "--allowed-hosts", "datacat.example.org")
    try:
        ours = Api(service.url)
        assert ours.raw("GET", "/api/sessions", **proxied).status == 200
        assert (
            ours.raw("POST", "/api/sessions", b"{}", **proxied, Origin="https://datacat.example.org").status
            == 200
        )
    finally:
        service.stop()


def test_a_program_records_by_any_name(shared_service):
    assert (
        Api(shared_service.url).raw("POST", "/api/sessions", b"{}", Host="datacat.example.org").status == 200
    )


@pytest.mark.parametrize("path", ["/api/live", "/api/sessions/{}/live?last=1"])
def test_a_stream_ends_when_its_key_is_revoked(kept, api, bearer, path):
    session_id = api.call("POST", "/api/sessions", **bearer("admin"))[1]["session_id"]
    database = kept[0].database
    key_id, text = make(database, "follower", "read")
    stream = api.pool.request(
        "GET",
        api.url + path.format(session_id),
        headers={"Authorization": f"Bearer {text}"},
        preload_content=False,
    )
    assert stream.read1(10_000)
    with closing(SqliteKeyStore(database)) as store:
        assert store.revoke(key_id, 2)
    api.call("POST", f"/api/sessions/{session_id}/events", {"name": "secret"}, **bearer("admin"))
    assert b"secret" not in stream.read()
