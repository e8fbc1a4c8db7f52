import pytest

from datacat.ingest.batcher import ENOUGH_RECORDS, MAX_PAUSE, Batcher
from datacat.model.errors import Busy


def test_what_waits_goes_as_one_group_in_its_order():
    batcher: Batcher[str] = Batcher()
    for item in "abc":
        batcher.offer(item, records=1, size=10)
    assert batcher.take() == ["a", "b", "c"]
    assert batcher.take() == []
    assert (batcher.records, batcher.bytes) == (0, 0)


def test_a_group_has_a_bound():
    batcher: Batcher[str] = Batcher(max_group_records=10)
    for item in "abc":
        batcher.offer(item, records=5, size=1)
    assert batcher.take() == ["a", "b"]
    assert batcher.take() == ["c"]


def test_an_item_larger_than_a_group_goes_alone():
    batcher: Batcher[str] = Batcher(max_group_records=10)
    batcher.offer("large", records=50, size=1)
    batcher.offer("small", records=1, size=1)
    assert batcher.take() == ["large"]


@pytest.mark.parametrize(("records", "size"), [(11, 1), (1, 101)])
def test_a_full_queue_refuses_and_keeps_what_it_has(records, size):
    batcher: Batcher[str] = Batcher(max_waiting_records=11, max_waiting_bytes=101)
    batcher.offer("first", records=1, size=1)
    with pytest.raises(Busy) as caught:
        batcher.offer("second", records=records, size=size)
    assert caught.value.retry_after >= 1
    assert batcher.take() == ["first"]


def test_an_empty_queue_has_room_for_anything():
    batcher: Batcher[str] = Batcher(max_waiting_records=1)
    batcher.offer("large", records=1000, size=1)
    assert batcher.take() == ["large"]


def after_a_commit(requests, *, waiting=0, seconds=0.001, now=100.0):
    """A batcher whose last group had so many requests, and took so long."""
    batcher: Batcher[str] = Batcher()
    for _ in range(requests):
        batcher.offer("answered", records=1, size=1)
    batcher.take()
    for _ in range(waiting):
        batcher.offer("waits", records=1, size=1)
    batcher.committed(seconds, now)
    return batcher


def test_a_group_waits_for_those_that_were_just_answered_and_those_that_wait_already():
    batcher = after_a_commit(3, waiting=2)
    for _ in range(3):
        assert not batcher.ready
        assert batcher.pause(100.0) > 0
        batcher.offer("again", records=1, size=1)
    assert batcher.ready
    assert batcher.pause(100.0) == 0


def test_requests_that_came_as_one_are_awaited_as_many():
    batcher: Batcher[str] = Batcher()
    batcher.offer("run", records=8, size=1, requests=8)
    batcher.take()
    batcher.committed(0.001, 100.0)
    batcher.offer("run", records=7, size=1, requests=7)
    assert not batcher.ready
    batcher.offer("one", records=1, size=1)
    assert batcher.ready


@pytest.mark.parametrize(("seconds", "pause"), [(0.002, 0.002), (3.0, MAX_PAUSE)])
def test_a_group_waits_no_longer_than_the_last_commit_took_nor_than_is_allowed(seconds, pause):
    batcher = after_a_commit(3, waiting=1, seconds=seconds, now=0.0)
    assert batcher.pause(0.0) == pause
    assert batcher.pause(pause) == 0


def test_who_sends_alone_never_waits():
    batcher = after_a_commit(1)
    assert batcher.pause(100.0) == 0
    batcher.offer("next", records=1, size=1)
    assert batcher.pause(100.0) == 0


def test_a_group_that_is_large_already_waits_for_no_more():
    batcher = after_a_commit(3)
    batcher.offer("large", records=ENOUGH_RECORDS, size=1)
    assert batcher.pause(100.0) == 0
