"""Posts that arrive together become one batch, and each is answered."""

from itertools import count

import pytest
from tests.unit.server.connection import OK, STATE, Connection, call, connected, post, with_key

from datacat.model.errors import StoreUnavailable
from datacat.server.runs import MAX_RUN


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
async def test_a_full_queue_is_told_to_each(connection):
    connection.ingest.busy = True
    await connection.receive(post(b"a") + post(b"b"))
    assert connection.answers == ["problem", "problem"]
    await connection.receive(STATE)
    assert connection.answers == ["problem"] * 3
    assert all(b"HTTP/1.1 503" in each and b"retry-after" in each for each in connection.transport.written)


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
async def test_a_key_is_looked_up_once_for_all_that_arrives_at_once_and_again_for_what_comes_later(
    connection,
):
    await connection.receive(with_key(b"Bearer good", b"a") + with_key(b"Bearer good", b"b"))
    assert connection.ingest.names == ["a", "b"]
    assert connection.asked == ["Bearer good"]
    connection.ingest.answer()
    await connection.receive(with_key(b"Bearer good", b"c"))
    assert connection.asked == ["Bearer good"] * 2
