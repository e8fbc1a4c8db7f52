"""``/api/live`` and ``/api/sessions/{id}/live`` over real sockets."""

import socket
import threading
import time
import uuid
from contextlib import contextmanager

import msgspec
import pytest
import urllib3
import uvicorn
from tests.api.conftest import Api, wait_for

from datacat.api import live
from datacat.client.api import DatacatClient
from datacat.query import live as query_live
from datacat.query.ring import Ring
from datacat.server.http import Protocol, Server
from datacat.server.notify import Notifier
from datacat.server.settings import Settings
from datacat.server.wiring import build
from datacat.wire.sse import Parser

# Elsewhere the service runs in a process of its own, whose warnings nobody sees.
pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")


@pytest.fixture
def product():
    return f"product-{uuid.uuid4()}"


class Stream:
    """One reader."""

    def __init__(self, url, path, last_id=None):
        headers = {"Last-Event-ID": last_id} if last_id else {}
        self.response = urllib3.PoolManager(retries=False, timeout=30).request(
            "GET", url + path, headers=headers, preload_content=False
        )
        assert self.response.status == 200, self.response.data
        self.parser = Parser()
        self.waiting = []
        self.raw = b""
        # The first bytes come when it listens.
        self._more()

    def _more(self):
        piece = self.response.read1(65_536)
        self.raw += piece
        self.waiting += self.parser.feed(piece)
        return bool(piece)

    def take(self, count):
        while len(self.waiting) < count:
            assert self._more(), self.waiting
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return [(each.event, msgspec.json.decode(each.data)) for each in taken]

    def to_the_end(self):
        while self._more():
            pass
        return [(each.event, msgspec.json.decode(each.data)) for each in self.waiting]

    def close(self):
        self.response.close()


@contextmanager
def following(url, path, last_id=None):
    stream = Stream(url, path, last_id)
    try:
        yield stream
    finally:
        stream.close()


class Small:
    """A service in this process, whose limits a test may make small."""

    def __init__(self, folder):
        built = build(Settings(database=str(folder / "small.db"), durability="normal"))
        self.hub = built.hub
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        config = uvicorn.Config(built.app, http=Protocol, log_config=None, timeout_graceful_shutdown=20)
        self.server = Server(config, 20.0, 10_000, hub=self.hub, notifier=Notifier({}), url=self.url)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]})
        self.thread.start()

    def stop(self):
        began = time.monotonic()
        self.server.should_exit = True
        self.thread.join(30)
        self.listener.close()
        return time.monotonic() - began


@pytest.fixture
def small(tmp_path, monkeypatch):
    # However fast the machine is, all that is sent is told.
    monkeypatch.setattr(query_live, "MOST_TOLD", 1 << 40)
    monkeypatch.setattr(query_live, "MOST_TOLD_BYTES", 1 << 40)
    service = Small(tmp_path)
    yield service
    service.stop()


def send(api, session_id, first, *, count=50, size=20_000):
    lines = [
        msgspec.json.encode(
            {
                "seq": first + n,
                "time": 1_732_380_000_000_000,
                "type": "event",
                "name": "e",
                "data": {"x": "x" * size},
            }
        )
        for n in range(count)
    ]
    status, answer = api.call("POST", f"/api/sessions/{session_id}/records", b"\n".join(lines))
    assert (status, answer["accepted"]) == (200, count)


def silent(url, path):
    """A reader that asks, and never reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    host, port = url.removeprefix("http://").split(":")
    connection.connect((host, int(port)))
    connection.settimeout(30)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def test_what_happens_is_told_as_it_happens(api, product):
    with following(api.url, f"/api/live?product={product}") as stream:
        assert stream.raw.startswith(b"retry: 1000\n\n:\nid: ")
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        assert stream.response.headers["Cache-Control"] == "no-store"
        assert stream.response.headers["X-Accel-Buffering"] == "no"
        api.create(product="other")
        session_id = api.create(product=product, version="1.2")
        path = f"/api/sessions/{session_id}"
        api.call("POST", f"{path}/metrics", {"name": "fps", "value": 60})
        api.raw("POST", f"{path}/events", b'{"name": "saved", "data": {\n"path":\r\n"a.txt"}}')
        api.call("POST", f"{path}/state", {"window": {"open": 1}})
        api.call("POST", f"{path}/events", {"name": "application_appears_hung"})
        found = stream.take(6)
    assert [kind for kind, _ in found] == ["session", "event", "state", "event", "problem", "session"]
    data = [each for _, each in found]
    assert (data[0]["id"], data[0]["verdict"]) == (session_id, "running")
    (page,) = api.call("GET", f"{path}/events?before=2")[1]["events"]
    assert data[1] == page | {"session_id": session_id, "product": product, "version": "1.2"}
    assert page["data"] == {"path": "a.txt"}
    assert (data[2]["number"], data[2]["merge"], data[2]["remove"]) == (1, {"window": {"open": 1}}, [])
    (problem,) = api.call("GET", f"/api/problems?product={product}")[1]
    del problem["id"]
    assert data[4] == problem
    assert data[5]["status"] == "hung"


def test_metrics_come_when_they_are_asked_for_and_levels_are_kept_to(api, product):
    query = f"/api/live?product={product}&kind=metric,event&level=error"
    with following(api.url, query) as stream:
        path = f"/api/sessions/{api.create(product=product)}"
        api.call("POST", f"{path}/events", {"name": "fine"})
        api.call("POST", f"{path}/metrics", {"name": "fps", "value": 60, "tags": ["a:b"]})
        api.call("POST", f"{path}/events", {"name": "bad", "level": "fatal"})
        (metric, event) = stream.take(2)
    (page,) = api.call("GET", f"{path}/metrics")[1]["metrics"]
    assert {key: metric[1][key] for key in page} == page
    assert (event[0], event[1]["name"], event[1]["number"]) == ("event", "bad", 2)


def test_a_reader_of_all_goes_on_behind_its_last_id(api, product):
    path = f"/api/live?product={product}&kind=event"
    session_id = api.create(product=product)
    with following(api.url, path) as stream:
        api.call("POST", f"/api/sessions/{session_id}/events", {"name": "one"})
        stream.take(1)
    api.call("POST", f"/api/sessions/{session_id}/events", {"name": "two"})
    with following(api.url, path, stream.parser.last_id) as stream:
        ((kind, data),) = stream.take(1)
        assert (kind, data["name"]) == ("event", "two")
    with following(api.url, f"{path}&level=error", stream.parser.last_id) as stream:
        ((kind, gap),) = stream.take(1)
        assert (kind, gap["reason"]) == ("gap", "forgotten")
        assert "events?after=N" in gap["detail"]


def test_a_session_is_followed_over_a_restart_and_nothing_is_lost(service):
    api = Api(service.url)
    session_id = api.create(product="editor")
    other = api.create(product="other")
    names = []
    number = 0

    def record(count):
        nonlocal number
        for _ in range(count):
            number += 1
            api.call("POST", f"/api/sessions/{session_id}/events", {"name": f"e{number}"})
            api.call("POST", f"/api/sessions/{other}/events", {"name": "of another"})
            api.call("POST", f"/api/sessions/{session_id}/metrics", {"name": "m", "value": number})

    record(3)
    messages = DatacatClient(service.url).follow(session_id[:13], after="e0.m0.c0")
    restarted = 0
    for message in messages:
        if message.kind == "event":
            names.append(message.data["name"])
        if message.kind == "connected" and message.data["again"]:
            restarted += 1
        if message.kind == "metric" and message.data["value"] == number:
            if number == 13:
                break
            record(2)
            if number in (5, 9):
                service.kill()
                service.start()
                record(2)
    messages.close()
    assert restarted == 2
    assert names == [f"e{n}" for n in range(1, 14)]


def test_a_session_says_how_it_stands_first_and_may_begin_with_its_last_rows(api):
    session_id = api.create(product="editor")
    for n in range(4):
        api.call("POST", f"/api/sessions/{session_id}/events", {"name": f"e{n}"})
    with following(api.url, f"/api/sessions/{session_id}/live?last=2&kind=session,event") as stream:
        found = stream.take(3)
    assert [data.get("name") for _, data in found] == [None, "e2", "e3"]
    assert found[0][1]["status"] == "active"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/live?kind=strange", 422, "wrong_value"),
        ("/api/live?level=strange", 422, "wrong_value"),
        ("/api/live?from=2024-11-23T16:40:00Z", 422, "unknown_parameter"),
        ("/api/live?to=2024-11-23T16:40:00Z", 422, "unknown_parameter"),
        ("/api/sessions/01934f5e-0000-7000-8000-00000000beef/live", 404, "unknown_session"),
        ("/api/sessions/01934f5e-0000-7000-8000-00000000beef/live?after=7", 422, "bad_cursor"),
    ],
)
def test_what_cannot_be_followed_is_a_problem(api, path, status, code):
    found, problem = api.call("GET", path)
    assert (found, problem["code"]) == (status, code)


def test_an_id_that_is_none_is_a_problem(api):
    status, problem = api.call("GET", "/api/live", Last_Event_ID="e1.m2.c3")
    assert (status, problem["field"]) == (422, "Last-Event-ID")


def test_head_says_what_a_stream_is_and_ends(api):
    response = api.raw("HEAD", "/api/live")
    assert (response.status, response.headers["Content-Type"]) == (200, "text/event-stream")


def test_a_stop_waits_for_no_stream(service):
    api = Api(service.url)
    session_id = api.create()
    with (
        following(service.url, "/api/live") as everything,
        following(service.url, f"/api/sessions/{session_id}/live") as one,
    ):
        began = time.monotonic()
        service.stop()
        assert time.monotonic() - began < 5
        for stream in (everything, one):
            kind, cut = stream.to_the_end()[-1]
            assert (kind, cut["reason"]) == ("cut", "stopping")


def test_a_reader_who_has_gone_is_forgotten_at_once(small):
    session_id = Api(small.url).create()
    with following(small.url, "/api/live"), following(small.url, f"/api/sessions/{session_id}/live"):
        assert small.hub.readers == 2
    wait_for(lambda: small.hub.readers == 0)


def test_a_session_that_is_removed_ends_its_streams_and_no_others(small):
    api = Api(small.url)
    gone, kept = api.create(), api.create()
    with (
        following(small.url, f"/api/sessions/{gone}/live") as stream,
        following(small.url, f"/api/sessions/{kept}/live") as other,
    ):
        assert api.call("DELETE", f"/api/sessions/{gone}")[0] == 200
        event, cut = stream.to_the_end()[-1]
        assert (event, cut["reason"]) == ("cut", "removed")
        api.call("POST", f"/api/sessions/{kept}/events", {"name": "still here"})
        assert [event for event, _ in other.take(2)] == ["session", "event"]


def test_a_session_that_goes_for_its_age_ends_its_streams_at_the_next_sign_of_life(small, monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT", 0.05)
    monkeypatch.setattr(small.hub, "removed", lambda _: None)
    api = Api(small.url)
    session_id = api.create()
    with following(small.url, f"/api/sessions/{session_id}/live") as stream:
        assert api.call("DELETE", f"/api/sessions/{session_id}")[0] == 200
        event, cut = stream.to_the_end()[-1]
        assert (event, cut["reason"]) == ("cut", "removed")


def test_one_reader_too_many_is_asked_to_come_later(small):
    small.hub._most_readers = 1
    with following(small.url, "/api/live"):
        response = Api(small.url).raw("GET", "/api/live")
        assert response.status == 503
        assert response.headers["Retry-After"] == "10"
        assert msgspec.json.decode(response.data)["code"] == "busy"


def test_a_quiet_stream_shows_that_it_lives(small, monkeypatch):
    monkeypatch.setattr(live, "HEARTBEAT", 0.05)
    session_id = Api(small.url).create()
    for path, id_ in (("/api/live", small.hub.id_of(0)), (f"/api/sessions/{session_id}/live", "e0.m0.c0.p0")):
        with following(small.url, path) as stream:
            before = len(stream.raw)
            while stream.raw.count(b":\nid: %b\n\n" % id_.encode(), before) < 2:
                assert stream._more()


def test_a_reader_who_does_not_read_is_cut_off_while_others_and_ingest_go_on(small):
    small.hub.ring = Ring(most=200)
    api = Api(small.url)
    session_id = str(uuid.uuid4())
    small_body = b'{"seq":1,"time":1,"type":"start","product":"editor"}'
    api.call("POST", f"/api/sessions/{session_id}/records", small_body)
    slow = silent(small.url, "/api/live?kind=event")
    with following(small.url, "/api/live?kind=event") as quick:
        wait_for(lambda: small.hub.readers == 2)
        for n in range(14):
            send(api, session_id, 2 + 50 * n)
            assert [data["number"] for _, data in quick.take(50)] == list(range(1 + 50 * n, 51 + 50 * n))
    received = b""
    while piece := slow.recv(1 << 20):
        received += piece
    slow.close()
    assert b"event: cut\ndata: " in received
    assert b'"reason":"too_slow"' in received
    assert received.endswith(b"0\r\n\r\n")
    assert small.hub.counts.cut == 1
    page = api.raw("GET", "/metrics").data.decode()
    assert "datacat_live_readers_cut_total 1.0" in page
    wait_for(lambda: small.hub.readers == 0)


def test_a_reader_who_takes_nothing_is_hung_up_on(small, monkeypatch):
    monkeypatch.setattr(live, "SEND_TIMEOUT", 0.3)
    api = Api(small.url)
    session_id = api.create()
    send(api, session_id, 1, count=50)
    slow = silent(small.url, f"/api/sessions/{session_id}/live?after=e0.m0.c0")
    for n in range(1, 20):
        send(api, session_id, 1 + 50 * n)
    wait_for(lambda: small.hub.counts.cut == 1)
    wait_for(lambda: small.hub.readers == 0)
    received = b""
    while piece := slow.recv(1 << 20):
        received += piece
    slow.close()
    assert not received.endswith(b"0\r\n\r\n")


def test_a_stop_waits_for_no_reader_who_takes_nothing(small):
    api = Api(small.url)
    session_id = api.create()
    for n in range(20):
        send(api, session_id, 1 + 50 * n)
    slow = silent(small.url, f"/api/sessions/{session_id}/live?after=e0.m0.c0")
    wait_for(lambda: small.hub.counts.messages > 50)
    assert small.stop() < 8
    slow.close()
