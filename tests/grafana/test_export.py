"""A raw export that is far larger than memory should have to be."""

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.export import fill
from tests.acceptance.faults import resident_bytes
from tests.conftest import Service

SESSIONS = 100_000
EXPORT = "/api/grafana/sessions"


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path: Path = tmp_path_factory.mktemp("large") / "datacat.db"
    fill(path, 0, SESSIONS)
    service = Service(path)
    yield service
    service.stop()


@contextmanager
def asked(service: Service, path: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    try:
        connection.request("GET", path)
        with connection.getresponse() as answer:
            yield answer
    finally:
        connection.close()


@pytest.mark.timeout(300)
def test_a_hundred_thousand_sessions_are_streamed_with_flat_memory(large):
    beginning = b'{"id":"'
    with asked(large, EXPORT) as answer:
        piece = answer.read(1_000_000)
        before = most = resident_bytes(large.process.pid)
        size, found, end = 0, 0, b""
        while piece:
            size += len(piece)
            found += (end + piece).count(beginning)
            end = piece[-len(beginning) + 1 :]
            most = max(most, resident_bytes(large.process.pid))
            piece = answer.read(1_000_000)
    assert end.endswith(b"]")
    assert found == SESSIONS
    assert size > 50_000_000
    assert most - before < 30_000_000


def test_a_client_that_goes_away_in_the_middle_is_no_trouble(large):
    for _ in range(20):
        with asked(large, EXPORT) as answer:
            answer.read(100_000)
    with asked(large, "/api/grafana/flat/summary") as answer:
        assert b'"total":100000' in answer.read()
    deadline = time.monotonic() + 30
    while sockets(large) > 3:  # that which listens, the loop's own pair
        assert time.monotonic() < deadline, "what was cut off is still being served"
        time.sleep(0.1)
    assert "Traceback" not in large.log_file.read_text()


def sockets(service: Service) -> int:
    files = Path(f"/proc/{service.process.pid}/fd")
    return sum("socket" in str(file.readlink()) for file in files.iterdir() if file.is_symlink())
