"""Connections by the thousand that send nothing, dribble, or go away: the others are served all the same."""

import contextlib
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
from tests.acceptance.faults import open_files, resident_bytes
from tests.conftest import Service
from tests.faults.quick import QuickService

from datacat.client.api import DatacatClient

REQUEST_TIMEOUT = 3
"""Seconds; the service's own default would be a long wait."""


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuickService]:
    """A service that waits for a request no longer than some seconds."""
    database = tmp_path_factory.mktemp("impatient") / "datacat.db"
    service = QuickService(database, durability="normal", request_timeout=REQUEST_TIMEOUT)
    yield service
    assert service.stop() in (0, -15)


def until(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def connections(service: Service | QuickService, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", service.port))) for _ in range(count)
        ]


def reset(connection: socket.socket) -> None:
    """Close it as a program that crashed does, without a word of goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def dribble(slow: list[socket.socket], stop: threading.Event) -> None:
    """A byte on each connection, again and again: half are in a head, half in a body."""
    head = b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
    for n, connection in enumerate(slow):
        connection.sendall(head + (b"\r\n{" if n % 2 else b"X-Slow: "))
    while not stop.wait(0.3):
        for connection in slow:
            with contextlib.suppress(OSError):
                connection.sendall(b"a")


def test_a_thousand_idle_and_two_hundred_slow_connections_keep_nobody_waiting_and_are_closed(impatient):
    client = DatacatClient(impatient.url)
    session_id = client.register_session(product="p")
    before = open_files(impatient.pid)
    stop = threading.Event()
    with connections(impatient, 1000), connections(impatient, 200) as slow:
        dribbling = threading.Thread(target=dribble, args=(slow, stop))
        dribbling.start()
        until(lambda: open_files(impatient.pid) >= before + 1200, 10)
        longest = 0.0
        for _ in range(100):
            began = time.monotonic()
            client.log_event(session_id, "e")
            longest = max(longest, time.monotonic() - began)
        until(lambda: open_files(impatient.pid) <= before + 1, REQUEST_TIMEOUT + 10)
        stop.set()
        dribbling.join()
        told = slow[1].recv(10_000)
    assert longest < 2
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in told
    assert len(client.get_session(session_id)["events"]) == 100


@pytest.fixture
def alone(tmp_path):
    """A service that nobody else has made anything large for."""
    service = QuickService(tmp_path / "datacat.db", durability="normal", request_timeout=REQUEST_TIMEOUT)
    yield service
    assert service.stop() in (0, -15)


def test_clients_that_vanish_before_a_large_answer_leave_none_of_it_in_memory(alone):
    client = DatacatClient(alone.url)
    session_id = client.register_session(product="p")
    for n in range(20):
        client.log_event(session_id, "e", {"n": n, "text": "x" * 500_000})
    files, memory = open_files(alone.pid), resident_bytes(alone.pid)
    for n in range(120):
        connection = socket.create_connection(("127.0.0.1", alone.port))
        connection.sendall(b"GET /api/grafana/sessions HTTP/1.1\r\nHost: x\r\n\r\n")
        (socket.socket.close, reset)[n % 2](connection)
    client.heartbeat(session_id)
    until(lambda: open_files(alone.pid) <= files + 1, 10)
    # Each held a page of 4 MiB and more, and what holds what is garbage only by and by.
    until(lambda: resident_bytes(alone.pid) - memory < 120 * 1024 * 1024, 10)


def test_clients_that_vanish_in_the_middle_leave_nothing_behind(alone):
    client = DatacatClient(alone.url)
    session_id = client.register_session(product="p")
    path = f"/api/sessions/{session_id}".encode()
    body = b'{"name":"whole"}'
    cut_off = [
        b"POST %b/events HTTP/1.1\r\nHost: x\r\nContent-Le" % path,
        b'POST %b/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n{"name":"half"' % path,
        b"POST %b/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\nabc" % path,
        b"POST %b/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (path, len(body), body),
        b"GET /api/grafana/sessions HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    before = open_files(alone.pid)

    def round_of_them() -> None:
        for n in range(300):
            connection = socket.create_connection(("127.0.0.1", alone.port))
            connection.sendall(cut_off[n % len(cut_off)])
            (socket.socket.close, reset)[n // 5 % 2](connection)
        client.heartbeat(session_id)
        until(lambda: open_files(alone.pid) <= before + 1, 10)

    round_of_them()
    memory = resident_bytes(alone.pid)
    for _ in range(3):
        round_of_them()
    assert resident_bytes(alone.pid) - memory < 8 * 1024 * 1024
    metrics = urllib3.request("GET", f"{alone.url}/metrics").data.decode()
    assert re.findall(r"(?m)^datacat_\w*(?:queue|waiting)\w* (\S+)", metrics) == ["0.0", "0.0"]
    assert {event["name"] for event in client.get_session(session_id)["events"]} <= {"whole"}
    assert "ERROR datacat" not in alone.log_file.read_text()


def test_a_reader_that_takes_nothing_of_its_answer_is_closed(impatient):
    client = DatacatClient(impatient.url)
    session_id = client.register_session(product="p")
    for n in range(20):
        client.log_event(session_id, "e", {"n": n, "text": "x" * 500_000})
    before = open_files(impatient.pid)
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", impatient.port))
        stalled.sendall(b"GET /api/sessions/%b HTTP/1.1\r\nHost: x\r\n\r\n" % session_id.encode())
        until(lambda: open_files(impatient.pid) > before, 10)
        until(lambda: open_files(impatient.pid) <= before, REQUEST_TIMEOUT + 10)


@pytest.mark.parametrize(
    "behind",
    [
        b"no HTTP at all\r\n\r\n",
        b"POST /api/sessions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n",
        b"",
    ],
)
def test_whole_requests_are_answered_with_what_became_of_them_whatever_comes_behind(impatient, behind):
    client = DatacatClient(impatient.url)
    session_id = client.register_session(product="p")
    body = b'{"name":"e"}'
    request = b"POST /api/sessions/%b/events HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
    whole = request % (session_id.encode(), len(body), body)
    received = b""
    with socket.create_connection(("127.0.0.1", impatient.port), 10) as connection:
        connection.sendall(whole * 2 + behind)
        while received.count(b'{"status":"ok"}') < 2 or behind:
            if not (piece := connection.recv(10_000)):
                break
            received += piece
    statuses = [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", received)]
    # What comes behind may have an answer of its own.
    assert statuses in ([200, 200], [200, 200, 400])
    assert len(client.get_session(session_id)["events"]) == 2


def test_when_no_more_files_may_be_opened_those_who_are_connected_are_served_and_it_is_told(tmp_path):
    limited = ("prlimit", "--nofile=100:200", sys.executable, "-m", "datacat")
    service = Service(tmp_path / "datacat.db", "--durability", "normal", program=limited)
    client = DatacatClient(service.url)
    session_id = client.register_session(product="p")
    limits = Path(f"/proc/{service.process.pid}/limits").read_text()
    assert re.search(r"Max open files +200 +200 ", limits), "the soft limit is raised to the hard one"

    def all_are_taken() -> bool:
        client.heartbeat(session_id)  # which keeps its connection
        return open_files(service.process.pid) >= 200

    with connections(service, 400):
        until(all_are_taken, 10)
        for _ in range(50):
            client.log_event(session_id, "e")
        until(lambda: "as many as the limit of open files leaves room for" in service.log_file.read_text(), 5)
    until(lambda: open_files(service.process.pid) < 100, 10)
    assert len(DatacatClient(service.url).get_session(session_id)["events"]) == 50
    assert service.stop() in (0, -15)
