"""One connection without a socket: what is taken, what is handed on, and in which order all is answered."""

import pytest
from tests.unit.server.connection import GET, OTHER_ID, STATE, Connection, call, connected, post, with_key

from datacat.model.errors import StoreUnavailable, UnknownSession
from datacat.model.records import Answer, Rejected
from datacat.server.patience import Patience
from datacat.server.runs import MAX_RUN


@connected
async def test_a_plain_post_is_answered_when_its_commit_is_durable(connection):
    await connection.receive(post())
    assert connection.transport.written == []
    connection.ingest.answer()
    assert connection.answers == ["lane"]
    assert connection.state.total_requests == 1
    assert connection.requests == []


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
async def test_a_batch_that_is_refused_at_once_is_not_kept(connection):
    connection.ingest.busy = True
    await connection.receive(post() * MAX_RUN)
    assert len(connection.answers) == MAX_RUN
    assert connection.lane._run is None


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
