"""Bytes on a socket, with the fast lane and without: the answers are the same, and so is what is recorded."""

import re
import socket
import struct
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
import urllib3

ID = b"00000000-0000-7000-8000-000000000000"  # where this stands, the session's id is sent
EVENT = b'{"name":"e"}'
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def post(call, body=EVENT, *headers, version=b"HTTP/1.1"):
    """A request."""
    lines = [b"POST /api/sessions/%b/%b %b" % (ID, call, version), b"Host: x", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


def raw(*lines):
    return b"\r\n".join(lines)


def event(name):
    return post(b"events", b'{"name":"%b"}' % name)


def framed(*headers, body=EVENT):
    """An event whose length is told otherwise."""
    return raw(b"POST /api/sessions/%b/events HTTP/1.1" % ID, b"Host: x", *headers, b"", body)


GET = raw(b"GET /api/sessions/%b/events?limit=1 HTTP/1.1" % ID, b"Host: x", b"", b"")
UNKNOWN = raw(
    b"POST /api/sessions/01934f5e-0000-7000-8000-0000000000ff/events HTTP/1.1",
    b"Host: x",
    b"Content-Length: 12",
    b"",
    EVENT,
)
BATCH = b'{"seq":%d,"time":1,"type":"event","name":"r%d"}\n'

KEPT = {
    "an event": ([event(b"a")], [200]),
    "a metric": ([post(b"metrics", b'{"name":"fps","value":60,"tags":["a"]}')], [200]),
    "a state": ([post(b"state", b'{"a":{"b":null}}')], [200]),
    "a merge patch": (
        [
            post(b"state", b'{"a":1,"b":2}'),
            post(b"state", b'{"a":null}', b"Content-Type: application/merge-patch+json"),
            post(b"state", b'{"b":null}', b"content-type: Application/Merge-Patch+JSON; charset=utf-8"),
        ],
        [200, 200, 200],
    ),
    "a heartbeat": ([post(b"heartbeat", b"")], [200]),
    "a heartbeat with a body": ([post(b"heartbeat", b"alive")], [200]),
    "records": ([post(b"records", BATCH % (1, 1) + BATCH % (2, 2))], [200]),
    "records of the watchdog": ([post(b"records", BATCH % (1, 1), b"Datacat-Origin: watchdog")], [200]),
    "records of nobody": ([post(b"records", BATCH % (1, 1), b"Datacat-Origin: moon")], [422]),
    "records again, and a gap": (
        [
            post(b"records", BATCH % (1, 1)),
            post(b"records", BATCH % (1, 1)),
            post(b"records", BATCH % (4, 4)),
        ],
        [200, 200, 409],
    ),
    "records of which one is bad": (
        [post(b"records", BATCH % (1, 1) + b'{"seq":2,"time":1,"type":"event"}\n')],
        [200],
    ),
    "an unknown session": ([UNKNOWN], [404]),
    "an id that is none": ([event(b"a").replace(ID, b"moon")], [404]),
    "an id without hyphens": ([event(b"a").replace(ID, b"01934f5e00007000800000000000000f")], [404]),
    "a state too large": ([post(b"state", b'{"a":"%b"}' % (b"x" * 1_100_000))], [413]),
    "a state that grows too large": (
        [post(b"state", b'{"a%d":"%b"}' % (n, b"x" * 240_000)) for n in range(5)],
        [200, 200, 200, 200, 413],
    ),
    "bad JSON": ([post(b"events", b'{"name"')], [400]),
    "no body": ([post(b"events", b"")], [400]),
    "a body too deep": ([post(b"state", b'{"a":' * 99 + b"1" + b"}" * 99)], [422]),
    "several at once": ([event(b"a") + event(b"b") + event(b"c")], [200] * 3),
    "hundreds at once": ([event(b"a") * 600], [200] * 600),
    "all kinds at once": (
        [
            event(b"a")
            + post(b"metrics", b'{"name":"fps","value":60}')
            + post(b"heartbeat", b"")
            + post(b"state", b'{"a":1}')
            + post(b"records", BATCH % (1, 1))
            + event(b"b")
        ],
        [200] * 6,
    ),
    "taken and handed on at once": (
        [event(b"a") + GET + event(b"b") + GET + GET + event(b"c") + event(b"d")],
        [200] * 7,
    ),
    "errors among them": (
        [event(b"a") + post(b"events", b"{") + UNKNOWN + event(b"b") + UNKNOWN + GET],
        [200, 400, 404, 200, 404, 200],
    ),
    "one after the other": ([event(b"a"), GET, event(b"b"), UNKNOWN, event(b"c")], [200, 200, 200, 404, 200]),
    "cut in two heads": ([event(b"a") + event(b"b")[:20], event(b"b")[20:] + event(b"c")], [200] * 3),
    "cut in the body": ([event(b"a") + event(b"b")[:-4], event(b"b")[-4:] + event(b"c")], [200] * 3),
    "cut between head and body": ([event(b"a")[:-12], event(b"a")[-12:]], [200]),
    "cut after the carriage return": ([event(b"a")[:-13], event(b"a")[-13:]], [200]),
    "a byte at a time": ([bytes([byte]) for byte in event(b"abc") + GET + event(b"d")], [200] * 3),
    "empty lines between": ([event(b"a") + b"\r\n\r\n" + event(b"b"), b"\r\n", event(b"c")], [200] * 3),
    "lower case": ([framed(b"content-length: 12")], [200]),
    "upper case": ([framed(b"CONTENT-LENGTH: 12", b"CONNECTION: KEEP-ALIVE")], [200]),
    "no space": ([framed(b"Content-Length:12")], [200]),
    "many spaces": ([framed(b"Content-Length: \t 12 \t ")], [200]),
    "a leading zero": ([framed(b"Content-Length: 0012")], [200]),
    "chunked": ([framed(b"Transfer-Encoding: chunked", body=b"c\r\n%b\r\n0\r\n\r\n" % EVENT)], [200]),
    "chunked with a trailer": (
        [framed(b"Transfer-Encoding: chunked", b"Trailer: A", body=b"c\r\n%b\r\n0\r\nA: b\r\n\r\n" % EVENT)],
        [200],
    ),
    "a chunk that holds a request": (
        [
            framed(
                b"Transfer-Encoding: chunked",
                body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(event(b"x")), event(b"x")),
            )
            + event(b"a")
        ],
        [400, 200],
    ),
    "a body that holds a request": ([post(b"events", event(b"x")) + event(b"a")], [400, 200]),
    "no length": ([raw(b"POST /api/sessions/%b/heartbeat HTTP/1.1" % ID, b"Host: x", b"", b"")], [200]),
    "no host": (
        [raw(b"POST /api/sessions/%b/events HTTP/1.1" % ID, b"Content-Length: 12", b"", EVENT)],
        [200],
    ),
    "two hosts": ([post(b"events", EVENT, b"Host: y")], [200]),
    "gzip": ([post(b"events", EVENT, b"Content-Encoding: gzip")], [400]),
    "identity": ([post(b"events", EVENT, b"Content-Encoding: identity")], [200]),
    "a page of another origin": ([post(b"events", EVENT, b"Origin: http://elsewhere")], [403]),
    "all that a browser sends": (
        [
            post(
                b"events",
                EVENT,
                b"User-Agent: M",
                b"Accept: text/html",
                b"Accept-Encoding: gzip, br, zstd",
                b"Accept-Language: de",
                b"Origin: http://x",
                b"Cookie: a=b",
                b"X-Forwarded-For: 10.0.0.1",
            )
        ],
        [200],
    ),
    "a proxy's words": ([post(b"events", EVENT, b"Via: 1.1 p", b"X-Forwarded-Proto: https")], [200]),
    "an authorization": ([post(b"events", EVENT, b"Authorization: Bearer x")], [200]),
    "a query": ([event(b"a").replace(b"/events ", b"/events?a=b ")], [200]),
    "an escape": ([event(b"a").replace(b"/events ", b"/%65vents ")], [200]),
    "another path": ([event(b"a").replace(b"/events ", b"/moon ")], [404]),
    "a slash more": ([event(b"a").replace(b"/events ", b"/events/ ")], [200]),
    "two slashes": ([event(b"a").replace(b"/api/", b"//api/")], [200]),
    "the whole URL": ([event(b"a").replace(b"POST /", b"POST http://x/")], [200]),
    "two spaces in the first line": ([event(b"a").replace(b" HTTP", b"  HTTP")], [200]),
    "another method": ([event(b"a").replace(b"POST", b"PUT")], [405]),
    "capitals in the path": ([event(b"a").replace(b"/events ", b"/Events ")], [404]),
    "text that is not ASCII in a header": ([post(b"events", EVENT, b"User-Agent: \xe4\xff")], [200]),
    "a hundred headers": ([post(b"events", EVENT, *[b"X-H%d: y" % n for n in range(100)])], [200]),
    "a long header": ([post(b"events", EVENT, b"User-Agent: " + b"x" * 5_000)], [200]),
    "an expectation": ([post(b"events", EVENT, b"Expect: 100-continue")], [100, 200]),
    "an expectation and a body that waits": (
        [post(b"events", EVENT, b"Expect: 100-continue")[:-12], EVENT],
        [100, 200],
    ),
}

CLOSED = {
    "the last": ([event(b"a") + post(b"events", EVENT, b"Connection: close") + event(b"b")], [200, 200]),
    "a list that closes": ([post(b"events", EVENT, b"Connection: keep-alive, close")], [200]),
    "HTTP/1.0": ([post(b"events", version=b"HTTP/1.0")], [200]),
    "HTTP/1.0 kept": ([post(b"events", EVENT, b"Connection: keep-alive", version=b"HTTP/1.0")], [200]),
    "HTTP/2.0": ([post(b"events", version=b"HTTP/2.0")], [200]),
    "HTTP/1.2": ([post(b"events", version=b"HTTP/1.2")], [400]),
    "an upgrade": (
        [
            post(
                b"events", EVENT, b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"
            ),
            event(b"b"),
            LAST,
        ],
        [400, 200, 200],
    ),
    "no version": ([post(b"events").replace(b" HTTP/1.1", b"")], [200]),
    "a negative length": ([framed(b"Content-Length: -1")], [400]),
    "a length that is no number": ([framed(b"Content-Length: twelve")], [400]),
    "a length with a sign": ([framed(b"Content-Length: +12")], [400]),
    "a hexadecimal length": ([framed(b"Content-Length: 0xc")], [400]),
    "an enormous length": ([framed(b"Content-Length: 99999999999999999999999")], [400]),
    "no number at all": ([framed(b"Content-Length:")], [400]),
    "two lengths": ([framed(b"Content-Length: 12", b"Content-Length: 5")], [400]),
    "two equal lengths": ([framed(b"Content-Length: 12", b"content-length: 12")], [400]),
    "a list of lengths": ([framed(b"Content-Length: 12, 12")], [400]),
    "a length and chunks": (
        [framed(b"Content-Length: 12", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + event(b"x"))],
        [400],
    ),
    "chunks and a length": (
        [framed(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n" + event(b"x"))],
        [400],
    ),
    "a length and an identity": ([framed(b"Content-Length: 12", b"Transfer-Encoding: identity")], [400]),
    "a length and odd chunks": ([framed(b"Content-Length: 12", b"Transfer-Encoding: xchunked")], [400]),
    "a space before the colon": ([framed(b"Content-Length : 12")], [400]),
    "a space before the name": ([framed(b" Content-Length: 12")], [400]),
    "a folded line": ([post(b"events", EVENT, b"User-Agent: a", b" b")], [400]),
    "a folded length": ([framed(b"Content-Length:", b" 12")], [400]),
    "bare line feeds": ([event(b"a").replace(b"\r\n", b"\n")], [400]),
    "one bare line feed": ([post(b"events", EVENT, b"User-Agent: a\nX: y")], [400]),
    "a bare carriage return": ([post(b"events", EVENT, b"User-Agent: a\rX: y")], [400]),
    "a hidden length": ([post(b"events", EVENT, b"User-Agent: a\nContent-Length: 3")], [400]),
    "a null in a header": ([post(b"events", EVENT, b"User-Agent: a\0b")], [400]),
    "a header without a name": ([post(b"events", EVENT, b": a")], [400]),
    "a header without a colon": ([post(b"events", EVENT, b"moon")], [400]),
    "a tab in the first line": ([event(b"a").replace(b" HTTP", b"\tHTTP")], [400]),
    "another protocol": ([b"\x16\x03\x01\x02\x00\x01"], [400]),
}


class Answers(NamedTuple):
    bytes: bytes
    statuses: list[int]
    recorded: object


def read_answers(connection, count):
    """So many answers, or all until the connection closes, without their dates."""
    file = connection.makefile("rb")
    everything, statuses = b"", list[int]()
    while count is None or len(statuses) < count:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline()
            if not line:
                return everything + head, statuses
            head += line
        length = re.search(rb"content-length: (\d+)", head)
        body = file.read(int(length[1])) if length else b""
        everything += re.sub(rb"date: .*?\r\n|\d{4}-\d\d-\d\dT[\d:.]+Z", b"", head + body)
        statuses.append(int(head[9:12]))
    return everything, statuses


class Road:
    """One service, spoken to with bytes."""

    def __init__(self, service):
        self.service = service
        self.pool = urllib3.PoolManager(retries=False, timeout=30)

    def connect(self, *, slowly=False):
        connection = socket.socket()
        connection.settimeout(30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if slowly:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect(("127.0.0.1", self.service.port))
        self.wait()  # until it is read from: else the first two pieces may be read as one
        return connection

    def create(self, session_id):
        self.pool.request("POST", f"{self.service.url}/api/sessions", json={"id": session_id})

    def recorded(self, session_id):
        session = self.pool.request("GET", f"{self.service.url}/api/sessions/{session_id}").json()
        for event in (*session["events"], *session["metrics"]):
            del event["timestamp"]
        return {key: session[key] for key in ("events", "metrics", "state", "lost", "status")}

    def wait(self):
        """Until all that was sent before is read: the service has come round since."""
        self.pool.request("GET", f"{self.service.url}/healthz")

    def say(self, session_id, pieces, *, count=None, slowly=False):
        """What is answered to these pieces, each read before the next; then the connection is closed."""
        self.create(session_id)
        whole = b"".join(pieces).replace(ID, session_id.encode())
        with self.connect(slowly=slowly) as connection:
            for piece in pieces:
                connection.sendall(whole[: len(piece)])
                whole = whole[len(piece) :]
                if whole and len(piece) > 1:
                    self.wait()
            everything, statuses = read_answers(connection, count)
            if count is not None:
                connection.sendall(LAST)
                more, and_more = read_answers(connection, None)
                everything, statuses = everything + more, statuses + and_more
        return Answers(everything, statuses, self.recorded(session_id))


@pytest.fixture
def roads(shared_service, ordinary_service):
    return [Road(shared_service), Road(ordinary_service)]


@pytest.fixture
def session_id():
    return str(uuid.uuid4())


@pytest.mark.parametrize(("pieces", "statuses"), KEPT.values(), ids=KEPT.keys())
def test_on_a_connection_that_is_kept_both_roads_answer_the_same(roads, session_id, pieces, statuses):
    lane, ordinary = (road.say(session_id, pieces, count=len(statuses)) for road in roads)
    assert ordinary.statuses == [*statuses, 200]
    assert lane == ordinary


@pytest.mark.parametrize(("pieces", "statuses"), CLOSED.values(), ids=CLOSED.keys())
def test_where_the_connection_ends_it_ends_on_both_roads(roads, session_id, pieces, statuses):
    lane, ordinary = (road.say(session_id, pieces) for road in roads)
    assert ordinary.statuses == statuses
    assert lane == ordinary


def test_a_request_before_nonsense_is_answered_before_the_nonsense_is(roads, session_id):
    # The ordinary road may answer the nonsense first, and nothing else.
    lane = roads[0].say(session_id, [event(b"a") + b"moon\r\n\r\n"])
    assert lane.statuses == [200, 400]
    assert [each["name"] for each in lane.recorded["events"]] == ["a"]


def test_a_body_too_large_is_refused_before_it_arrives(roads, session_id):
    heads = []
    for road in roads:
        road.create(session_id)
        with road.connect() as connection:
            head = post(b"events").replace(b": 12", b": 8388609")[: -len(EVENT)]
            connection.sendall((event(b"a") + head).replace(ID, session_id.encode()))
            heads.append(read_answers(connection, 2))
    assert heads[0] == heads[1]
    assert heads[0][1] == [200, 413]


def test_a_client_that_goes_in_the_middle_of_a_body_leaves_nothing_behind(roads, session_id):
    for road in roads:
        road.create(session_id)
        with road.connect() as connection:
            connection.sendall(event(b"a").replace(ID, session_id.encode())[:-1])
            road.wait()
        road.wait()
        assert road.recorded(session_id)["events"] == []


def test_a_client_that_does_not_wait_for_its_answers_is_recorded_all_the_same(roads, session_id):
    names = [b"e%d" % n for n in range(50)]
    road = roads[0]
    road.create(session_id)
    with road.connect() as connection:
        connection.sendall(b"".join(map(event, names)).replace(ID, session_id.encode()))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        road.wait()
    # The connection is gone with a reset; a request behind those is behind their commits.
    assert road.pool.request("POST", f"{road.service.url}/api/sessions/{session_id}/heartbeat").status == 200
    recorded = [each["name"].encode() for each in road.recorded(session_id)["events"]]
    assert recorded == names[: len(recorded)]


def test_a_reader_that_is_slow_gets_every_answer_in_order(roads, session_id):
    # Each of these answers is 100 KB long, and the reader's own buffer is small.
    bad = b"\n".join(b'{"seq":%d}' % seq for seq in range(1, 1_001))
    requests = [post(b"records", bad), *[event(b"e%d" % n) + post(b"records", bad) for n in range(15)]]
    answers = [road.say(session_id, [b"".join(requests)], count=31, slowly=True) for road in roads]
    assert answers[0] == answers[1]
    assert set(answers[0].statuses) == {200}
    assert [each["name"] for each in answers[0].recorded["events"]] == [f"e{n}" for n in range(15)]


def test_a_stop_answers_what_it_keeps_and_keeps_what_it_answers(service):
    road = Road(service)
    ids = [str(uuid.uuid4()) for _ in range(8)]
    for session_id in ids:
        road.create(session_id)
    begun = threading.Barrier(9)

    def send(session_id):
        answered = 0
        request = event(b"e").replace(ID, session_id.encode())
        with road.connect() as connection:
            while True:
                try:
                    connection.sendall(request)
                    statuses = read_answers(connection, 1)[1]
                except ConnectionError:
                    return answered
                if statuses != [200]:
                    return answered
                answered += 1
                if answered == 20:
                    begun.wait(30)

    with ThreadPoolExecutor(8) as senders:
        counts = [senders.submit(send, session_id) for session_id in ids]
        begun.wait(30)
        service.stop()
        answered = [each.result() for each in counts]
    service.start()
    recorded = [len(road.recorded(session_id)["events"]) for session_id in ids]
    assert recorded == answered
