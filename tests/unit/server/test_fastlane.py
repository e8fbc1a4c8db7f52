"""One connection without a socket: what is taken, what is handed on, and in which order all is answered."""

import asyncio
from itertools import count
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from datacat.api.requests import Requests
from datacat.ingest.door import Door
from datacat.ingest.throttle import Throttle
from datacat.model.errors import Busy, KeyRefused, StoreUnavailable, UnknownSession
from datacat.model.keys import Grant
from datacat.model.records import Answer, Rejected
from datacat.server.fastlane import FastLane
from datacat.server.patience import Patience
from datacat.server.runs import MAX_RUN, Lane
from datacat.testing import FakeClock

ID = b"01934f5e-0000-7000-8000-0000000000ff"
OTHER_ID = b"01934f5e-0000-7000-8000-0000000000fe"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
ORDINARY = b"ordinary"
OK = Answer(1, 0, 1)


def call(action, body, session_id=ID):
    head = b"POST /api/sessions/%b/%b HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    return head % (session_id, action, len(body)) + body


def post(name=b"e", session_id=ID):
    return call(b"events", b'{"name":"%b"}' % name, session_id)


STATE = call(b"state", b'{"a":1}')


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.written = []
        self.closed = self.aborted = False
        self.reading = True

    def write(self, data):
        self.written.append(bytes(data))

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def bodies(self):
        return [each.partition(b"\r\n\r\n")[2] for each in self.written if b"\r\n\r\n" in each]


class Ingest:
    """Takes everything, and answers when it is told to."""

    def __init__(self):
        self.batches = []
        self.requests = []
        self.waiting = []
        self.busy = False

    def offer(self, batch, size, answered, *, requests=1):
        if self.busy:
            raise Busy("full")
        self.batches.append(batch)
        self.requests.append(requests)
        self.waiting.append(answered)

    def answer(self, outcome=OK, count=None):
        now = self.waiting[:count]
        self.waiting = self.waiting[len(now) :]
        for answered in now:
            answered(outcome)

    @property
    def names(self):
        return [record.name for batch in self.batches for record in batch.records]


class Connection:
    """A lane in front of an application that reads the body and says that it was there."""

    def __init__(self, shared=None):
        self.ingest = Ingest()
        self.transport = Transport()
        self.requests = []
        self.state = ServerState()
        config = uvicorn.Config(self.app, interface="asgi3", log_config=None, access_log=False)
        clock = FakeClock()
        self.asked: list[str | None] = []
        ingest: Any = self.ingest  # as much of a committer as a lane needs

        def admit(authorization):
            self.asked.append(authorization)
            if authorization == "Bearer bad":
                raise KeyRefused("key_unknown", "bad")
            return Door(ingest, Grant(), Throttle(), clock)

        self.shared = shared or Lane(admit, Requests(), clock)
        self.lane = FastLane(self.shared, config=config, server_state=self.state, app_state={})
        self.lane.connection_made(self.transport)

    def another(self):
        """Another connection of the same service."""
        return Connection(self.shared)

    async def app(self, scope, receive, send):
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.requests.append((scope["method"], body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
        await send({"type": "http.response.body", "body": ORDINARY})

    async def receive(self, *pieces):
        for piece in pieces:
            self.lane.data_received(piece)
            await self.settle()

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def answers(self):
        """Which road gave each answer."""
        whole = b"".join(self.transport.written)
        marks = [
            (whole.find(mark, start), name)
            for name, mark in (("lane", b'{"status":"ok"}'), ("ordinary", ORDINARY), ("problem", b'"code"'))
            for start in [at for at in range(len(whole)) if whole.startswith(mark, at)]
        ]
        return [name for _, name in sorted(marks)]


def connected(test):
    """A test in an event loop, with a connection of its own."""

    def run():
        async def inside():
            await test(Connection())

        asyncio.run(inside())

    run.__name__ = test.__name__
    return run


@connected
async def test_a_plain_post_is_answered_when_its_commit_is_durable(connection):
    await connection.receive(post())
    assert connection.transport.written == []
    connection.ingest.answer()
    assert connection.answers == ["lane"]
    assert connection.state.total_requests == 1
    assert connection.requests == []


@connected
async def test_what_arrives_at_once_for_a_session_is_one_batch_and_each_post_is_answered(connection):
    await connection.receive(post(b"a") + post(b"b") + post(b"c"))
    (batch,) = connection.ingest.batches
    assert [record.name for record in batch.records] == ["a", "b", "c"]
    connection.ingest.answer()
    assert connection.answers == ["lane"] * 3
    assert connection.state.total_requests == 3


@connected
async def test_each_post_of_a_batch_has_the_time_at_which_it_arrived(connection):
    ticks = count(1)
    connection.shared.clock.now = lambda: next(ticks)
    await connection.receive(post(b"a") + post(b"b"))
    (batch,) = connection.ingest.batches
    assert [record.time for record in batch.records] == [1, 2]


@connected
async def test_connections_that_post_to_one_session_at_once_share_a_batch(connection):
    other = connection.another()
    connection.lane.data_received(post(b"a"))
    other.lane.data_received(post(b"b"))
    await connection.settle()
    assert len(connection.ingest.batches) == 1
    assert connection.ingest.names == ["a", "b"]
    connection.ingest.answer()
    assert connection.answers == other.answers == ["lane"]


@pytest.mark.parametrize("outcome", [OK, StoreUnavailable("disk full")])
def test_one_that_cannot_be_answered_harms_none_that_it_came_with(outcome, caplog):
    @connected
    async def run(connection):
        broken, other = connection, connection.another()
        broken.lane.data_received(post(b"a"))
        other.lane.data_received(post(b"b"))
        await connection.settle()
        broken.transport.write = None
        connection.ingest.answer(outcome)
        assert broken.transport.aborted
        assert len(other.answers) == 1

    run()
    assert "could not be given" in caplog.text


@pytest.mark.parametrize(
    "behind",
    [post(b"b", OTHER_ID), call(b"metrics", b'{"name":"fps","value":1}'), call(b"state", b'{"a":1}')],
    ids=["another session", "another call", "a batch of its own"],
)
def test_what_cannot_be_of_the_same_batch_is_held_until_that_is_answered(behind):
    @connected
    async def run(connection):
        await connection.receive(post(b"a") + behind)
        assert len(connection.ingest.batches) == 1
        assert not connection.transport.reading
        connection.ingest.answer()
        await connection.settle()
        assert len(connection.ingest.batches) == 2
        assert connection.transport.reading
        connection.ingest.answer()
        assert connection.answers == ["lane", "lane"]

    run()


@connected
async def test_a_batch_of_its_own_lets_nothing_pass_it(connection):
    await connection.receive(STATE + STATE + post(b"a"))
    assert len(connection.ingest.batches) == 1
    for batches in (2, 3):
        connection.ingest.answer()
        await connection.settle()
        assert len(connection.ingest.batches) == batches
    connection.ingest.answer()
    assert connection.answers == ["lane"] * 3


@connected
async def test_what_is_wrong_with_one_post_harms_none_that_it_came_with_and_is_said_in_its_turn(connection):
    bad = post().replace(b"name", b"eman")
    await connection.receive(post(b"a") + bad + post(b"c"))
    assert connection.ingest.names == ["a", "c"]
    assert connection.transport.written == []
    connection.ingest.answer()
    assert connection.answers == ["lane", "problem", "lane"]
    assert b"HTTP/1.1 422" in connection.transport.written[1]


@connected
async def test_a_body_that_is_cut_off_takes_nothing_of_the_posts_that_it_came_with(connection):
    begun, other, ended = connection, connection.another(), connection.another()
    begun.lane.data_received(call(b"events", b'{"name":"x","data":{"k":'))
    other.lane.data_received(post(b"sound"))
    ended.lane.data_received(call(b"events", b'}}{"name":"p"}{"name":"q"}'))
    await connection.settle()
    connection.ingest.answer()
    assert connection.ingest.names == ["sound"]
    assert (begun.answers, other.answers, ended.answers) == (["problem"], ["lane"], ["problem"])


@connected
async def test_a_body_nested_however_deep_harms_none_that_it_came_with(connection):
    for depth in range(850, 1_000):
        fresh = Connection()
        deep = b'{"name":"e","data":' + b"[" * depth + b"]" * depth + b"}"
        await fresh.receive(call(b"events", deep) + post(b"good"))
        fresh.ingest.answer()
        assert fresh.answers == ["problem", "lane"], depth


@connected
async def test_posts_that_are_all_wrong_wait_for_no_commit(connection):
    await connection.receive(post().replace(b"name", b"eman"))
    assert connection.ingest.batches == []
    assert connection.answers == ["problem"]
    assert connection.requests == []


@connected
async def test_as_many_requests_are_expected_again_as_there_are_connections(connection):
    connection.lane.data_received(post(b"a") * 3)
    connection.another().lane.data_received(post(b"b"))
    await connection.settle()
    assert connection.ingest.requests == [2]


@connected
async def test_a_batch_that_is_refused_at_once_is_not_kept(connection):
    connection.ingest.busy = True
    await connection.receive(post() * MAX_RUN)
    assert len(connection.answers) == MAX_RUN
    assert connection.lane._run is None


@connected
async def test_a_full_queue_is_told_to_each(connection):
    connection.ingest.busy = True
    await connection.receive(post(b"a") + post(b"b"))
    assert connection.answers == ["problem", "problem"]
    await connection.receive(STATE)
    assert connection.answers == ["problem"] * 3
    assert all(b"HTTP/1.1 503" in each and b"retry-after" in each for each in connection.transport.written)


@connected
async def test_what_is_not_plain_waits_for_the_answers_before_it_and_reaches_the_parser_unchanged(connection):
    odd = post(b"b").replace(b"/events", b"/events?a=b")
    await connection.receive(post(b"a") + odd + post(b"c"))
    assert connection.requests == []
    assert not connection.transport.reading
    connection.ingest.answer()
    await connection.settle()
    assert connection.requests == [("POST", b'{"name":"b"}'), ("POST", b'{"name":"c"}')]
    assert connection.answers == ["lane", "ordinary", "ordinary"]
    assert connection.transport.reading


@connected
async def test_behind_the_ordinary_road_the_lane_is_open_again(connection):
    await connection.receive(GET, post(b"a"), GET[:10], GET[10:], post(b"b"))
    connection.ingest.answer()
    await connection.settle()
    assert connection.ingest.names == ["a"]
    await connection.receive(post(b"c"))
    connection.ingest.answer()
    assert connection.ingest.names == ["a", "c"]


@connected
async def test_the_rest_of_a_request_goes_where_its_beginning_went(connection):
    request = post(b"a")
    # A part of a head goes to the parser, a part of a body is waited for.
    for cut in range(1, len(request)):
        fresh = Connection()
        await fresh.receive(request[:cut], request[cut:])
        taken = cut > request.find(b"\r\n\r\n") + 3
        assert bool(fresh.requests) is not taken
    for byte in request:
        await connection.receive(bytes([byte]))
    assert connection.requests == [("POST", b'{"name":"a"}')]


@connected
async def test_of_requests_sent_at_once_the_last_may_be_cut_anywhere(connection):
    request = post(b"b")
    for cut in range(1, len(request)):
        fresh = Connection()
        await fresh.receive(post(b"a") + request[:cut])
        fresh.ingest.answer()
        await fresh.receive(request[cut:])
        fresh.ingest.answer()
        assert fresh.ingest.names == ["a", "b"], cut
        assert fresh.answers == ["lane", "lane"]


@connected
async def test_the_rest_of_a_head_may_come_before_the_answer_to_what_was_before_it(connection):
    request = post(b"b")
    await connection.receive(post(b"a") + request[:10], request[10:20], request[20:] + GET)
    assert connection.ingest.names == ["a"]
    connection.ingest.answer()
    await connection.settle()
    connection.ingest.answer()
    await connection.settle()
    assert connection.ingest.names == ["a", "b"]
    assert connection.answers == ["lane", "lane", "ordinary"]


@connected
async def test_a_head_that_will_not_be_plain_is_not_waited_for(connection):
    await connection.receive(post(b"a") + b"GET /heal")
    connection.ingest.answer()
    await connection.receive(b"thz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.answers == ["lane", "ordinary"]


@connected
async def test_a_body_may_come_in_many_pieces(connection):
    request = post(b"abcdef")
    await connection.receive(request[:-12], *[bytes([byte]) for byte in request[-12:]])
    assert connection.ingest.names == ["abcdef"]


@pytest.mark.parametrize(
    ("request_", "outcome", "status", "said"),
    [
        (post(), UnknownSession("x"), b"404", b"unknown_session"),
        (post(), StoreUnavailable("disk full"), b"503", b"disk full"),
        (STATE, Answer(0, 0, 1, [Rejected(1, "state_too_large", "too large")]), b"413", b"too large"),
        (post(), RuntimeError("never said"), b"500", b"its log says more"),
    ],
)
def test_what_a_commit_refuses_is_a_problem(request_, outcome, status, said, caplog):
    @connected
    async def run(connection):
        await connection.receive(request_)
        connection.ingest.answer(outcome)
        (answer,) = connection.transport.written
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b"content-type: application/problem+json\r\n" in answer
        assert said in answer

    run()
    assert ("never said" in caplog.text) is isinstance(outcome, RuntimeError)


@connected
async def test_a_batch_is_of_so_many_posts_and_no_more(connection):
    await connection.receive(post() * (MAX_RUN + 10))
    assert len(connection.ingest.names) == MAX_RUN
    assert not connection.transport.reading
    connection.ingest.answer()
    await connection.settle()
    assert len(connection.ingest.names) == MAX_RUN + 10
    assert connection.transport.reading


@connected
async def test_a_batch_is_of_so_many_bytes_and_no_more(connection):
    large = call(b"events", b'{"name":"e","message":"%b"}' % (b"m" * 9_000))
    await connection.receive(large * 200)
    assert len(connection.ingest.names) < 200
    connection.ingest.answer()
    await connection.settle()
    assert len(connection.ingest.names) == 200


@connected
async def test_whoever_does_not_read_answers_is_not_read_either(connection):
    connection.lane.pause_writing()
    await connection.receive(post(b"a") + post(b"b"))
    assert connection.ingest.batches == []
    assert not connection.transport.reading
    connection.lane.resume_writing()
    await connection.settle()
    assert connection.ingest.names == ["a", "b"]
    assert connection.transport.reading


@connected
async def test_whoever_reads_no_answers_and_sends_more_is_given_up_and_nothing_of_it_recorded(connection):
    await connection.receive(post(b"a"))
    connection.ingest.answer()
    connection.transport.get_write_buffer_size = lambda: 100_000
    connection.lane.pause_writing()
    await connection.receive(post(b"b"))
    patience = Patience(20.0)
    assert [patience.look([connection.lane], now) for now in (0.0, 10.0, 21.0)] == [0, 0, 1]
    assert connection.transport.aborted
    await connection.settle()
    assert connection.ingest.names == ["a"]
    assert connection.requests == []


@connected
async def test_a_stop_waits_for_what_was_accepted_and_takes_no_more(connection):
    await connection.receive(post(b"a") + post(b"b"))
    connection.lane.shutdown()
    await connection.receive(post(b"c"))
    assert not connection.transport.closed
    connection.ingest.answer()
    assert connection.transport.closed
    assert connection.ingest.names == ["a", "b"]
    assert [b"connection: close" in each for each in connection.transport.written] == [False, True]


@connected
async def test_a_stop_in_the_middle_of_a_body_waits_for_its_end(connection):
    await connection.receive(post()[:-3])
    connection.lane.shutdown()
    assert not connection.transport.closed
    await connection.receive(post()[-3:])
    assert connection.answers == ["ordinary"]
    assert connection.transport.closed


@connected
async def test_a_stop_closes_what_is_idle(connection):
    await connection.receive(post())
    connection.ingest.answer()
    connection.lane.shutdown()
    assert connection.transport.closed


@connected
async def test_nothing_is_written_to_whoever_has_gone(connection):
    await connection.receive(post())
    connection.transport.close()
    connection.lane.connection_lost(None)
    connection.ingest.answer()
    assert connection.transport.written == []


@connected
async def test_what_is_idle_for_the_keep_alive_timeout_is_closed(connection):
    connection.lane.timeout_keep_alive = 1_000
    await connection.receive(post())
    connection.ingest.answer()
    timer = connection.lane.timeout_keep_alive_task
    await connection.receive(post())
    connection.lane.timeout_keep_alive_handler()
    assert not connection.transport.closed  # a request is in flight
    connection.ingest.answer()
    assert connection.lane.timeout_keep_alive_task is not timer
    connection.lane.timeout_keep_alive_handler()
    assert not connection.transport.closed  # it was answered just now
    connection.lane.timeout_keep_alive = 0
    connection.lane.timeout_keep_alive_handler()
    assert connection.transport.closed


def with_key(key, name=b"e"):
    return post(name).replace(b"\r\nContent-Length", b"\r\nAuthorization: %b\r\nContent-Length" % key)


@connected
async def test_a_key_is_looked_up_once_for_all_that_arrives_at_once_and_again_for_what_comes_later(
    connection,
):
    await connection.receive(with_key(b"Bearer good", b"a") + with_key(b"Bearer good", b"b"))
    assert connection.ingest.names == ["a", "b"]
    assert connection.asked == ["Bearer good"]
    connection.ingest.answer()
    await connection.receive(with_key(b"Bearer good", b"c"))
    assert connection.asked == ["Bearer good"] * 2


@connected
async def test_who_has_no_key_that_opens_is_told_by_the_ordinary_road(connection):
    await connection.receive(with_key(b"Bearer bad"))
    assert connection.ingest.names == []
    assert connection.answers == ["ordinary"]


@connected
async def test_a_request_that_dribbles_in_is_awaited_and_each_anew(connection):
    lane, whole = connection.lane, post(b"a")
    await connection.receive(whole[:-3])
    awaited = lane.awaited()
    assert awaited is not None
    assert awaited[0] == "body"
    await connection.receive(whole[-3:-1])
    assert lane.awaited() == awaited
    await connection.receive(whole[-1:])
    assert lane.awaited() is None
    connection.ingest.answer()
    await connection.receive(whole[:5])
    again = lane.awaited()
    assert again is not None
    assert again != awaited
    assert again[0] == "head"


@connected
async def test_who_dribbles_a_head_behind_others_is_awaited(connection):
    await connection.receive(post(b"a") + post(b"b")[:10])
    assert connection.lane.awaited() is None
    connection.ingest.answer()
    awaited = connection.lane.awaited()
    assert awaited is not None
    assert awaited[0] == "head"
    connection.lane.give_up("head", 20.0)
    assert connection.transport.closed


@connected
async def test_who_dribbles_a_body_is_told_that_it_took_too_long(connection):
    await connection.receive(post(b"a")[:-3])
    connection.lane.give_up("body", 20.0)
    assert b"408 Request Timeout" in b"".join(connection.transport.written)
    assert connection.transport.closed
