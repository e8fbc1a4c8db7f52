import pytest

from datacat.ingest.batcher import Batcher
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
