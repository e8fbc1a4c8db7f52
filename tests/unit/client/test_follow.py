import itertools
from collections.abc import Callable

import pytest
import urllib3

from datacat.client.follow import LiveMessage, follow
from datacat.model.errors import RequestFailed
from datacat.wire.sse import message, retry


class Response:
    """A stream in pieces; an error among them is raised."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.closed = False

    def read1(self, _):
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self):
        self.closed = True


class Service:
    """Answers in turn; an error is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked: list[str | None] = []
        self.waits: list[float] = []

    def connect(self, headers):
        self.asked.append(headers.get("Last-Event-ID"))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def follow(self, after=None):
        return follow(self.connect, after, self.waits.append)


def told(kinds: list[LiveMessage]) -> list[tuple[str, str]]:
    return [(each.kind, each.id) for each in kinds]


def event(number):
    return message("event", b'{"number":%d}' % number, str(number))


def test_what_broke_off_goes_on_behind_the_last_whole_message():
    first = Response(retry(1_500) + event(1) + event(2)[:-1], urllib3.exceptions.ProtocolError("gone"))
    service = Service(
        first,
        RequestFailed("no answer", request="GET /"),
        RequestFailed("busy", request="GET /", status=503),
        Response(event(2)),
    )
    found = list(itertools.islice(service.follow(), 5))
    assert told(found) == [
        ("connected", ""),
        ("event", "1"),
        ("disconnected", "1"),
        ("connected", "1"),
        ("event", "2"),
    ]
    assert [each.data for each in found if each.kind == "connected"] == [{"again": False}, {"again": True}]
    assert service.asked == [None, "1", "1", "1"]
    assert len(service.waits) == 3
    assert service.waits[0] >= 1.5
    assert first.closed


@pytest.mark.parametrize(
    "make",
    [
        lambda: Service(RequestFailed("no answer", request="GET /")),
        lambda: Service(RequestFailed("busy", request="GET /", status=503)),
        lambda: Service(Response(event(1)), RequestFailed("no such session", request="GET /", status=404)),
    ],
)
def test_what_waiting_does_not_mend_is_raised(make: Callable[[], Service]):
    with pytest.raises(RequestFailed):
        list(make().follow())


def test_a_stream_can_be_taken_up_where_it_was_left():
    service = Service(Response(event(8)))
    assert told(list(itertools.islice(service.follow("7"), 2))) == [("connected", "7"), ("event", "8")]
    assert service.asked == ["7"]


def test_whoever_looks_no_longer_lets_go_of_the_connection():
    response = Response(event(1), event(2))
    messages = Service(response).follow()
    next(messages)
    next(messages)
    messages.close()
    assert response.closed


def test_who_was_cut_off_is_told_why():
    cut = message("cut", b'{"reason":"stopping","detail":"the service is stopping"}', "7")
    found = list(itertools.islice(Service(Response(cut)).follow(), 3))
    assert [each.kind for each in found] == ["connected", "cut", "disconnected"]
    assert found[-1].data == {"reason": "the service is stopping"}


def test_a_stream_that_is_none_is_no_end():
    service = Service(Response(b"event: event\ndata: not JSON\n\n"), Response(event(1)))
    found = list(itertools.islice(service.follow(), 4))
    assert [each.kind for each in found] == ["connected", "disconnected", "connected", "event"]
