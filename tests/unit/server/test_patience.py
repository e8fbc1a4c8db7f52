from types import SimpleNamespace
from typing import Any

import pytest

from datacat.server.patience import Patience, PatientProtocol


class Cycle:
    """A request and its answer; no two are the same."""

    def __init__(self, *, more_body: bool, response_complete: bool) -> None:
        self.more_body = more_body
        self.response_complete = self.response_started = response_complete


class Connection(PatientProtocol):
    """As much of uvicorn's as is looked at."""

    timeout_keep_alive_task: Any
    flow: Any
    transport: Any
    cycle: Any

    def __init__(self) -> None:
        self.flow = SimpleNamespace(write_paused=False)
        self.timeout_keep_alive_task = None
        self.cycle = None
        self.transport = self
        self.unread = 0
        self.written = b""
        self.closed = ""

    def request(self, *, more_body: bool = True, response_complete: bool = False) -> None:
        self.cycle = Cycle(more_body=more_body, response_complete=response_complete)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = "closed"

    def abort(self) -> None:
        self.closed = "aborted"


@pytest.fixture
def connection():
    return Connection()


@pytest.fixture
def patience():
    return Patience(5)


def looks(patience: Patience, connection: Any, seconds: range) -> list[int]:
    """The moments at which it was closed."""
    return [second for second in seconds if patience.look([connection], second)]


def test_who_never_sends_anything_is_closed_when_the_time_is_over(patience, connection):
    assert looks(patience, connection, range(7)) == [6]
    assert (connection.closed, connection.written) == ("aborted", b"")


def test_who_sends_a_head_and_dribbles_the_body_is_told(patience, connection):
    connection.request()
    assert looks(patience, connection, range(7)) == [6]
    assert connection.closed == "closed"
    assert connection.written.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in connection.written


def test_each_request_has_its_own_time(patience, connection):
    assert looks(patience, connection, range(4)) == []
    for begin in (4, 8, 12):
        connection.request()
        assert looks(patience, connection, range(begin, begin + 4)) == []


def test_a_connection_that_is_idle_or_on_which_the_server_works_is_left_alone(patience, connection):
    connection.request(more_body=False)
    assert looks(patience, connection, range(100)) == []
    connection.request(response_complete=True)
    connection.timeout_keep_alive_task = "uvicorn's own timer"
    assert looks(patience, connection, range(100, 200)) == []
    connection.timeout_keep_alive_task = None  # a first byte of the next head
    assert looks(patience, connection, range(200, 207)) == [206]


def test_who_takes_nothing_of_an_answer_is_closed_and_who_takes_a_little_is_not(patience, connection):
    connection.request(more_body=False)
    connection.flow.write_paused = True
    for second in range(20):
        connection.unread = 1000 - second // 3
        assert patience.look([connection], second) == 0
    assert looks(patience, connection, range(20, 30))[0] == 24
    assert connection.closed == "aborted"
