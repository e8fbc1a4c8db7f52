import signal
import threading
import time

import msgspec
import pytest

from datacat.client.backlog import Backlog
from datacat.client.buffer import Buffer
from datacat.client.encode import ANY_FORM
from datacat.client.memory import MemoryStage
from datacat.testing import FakeClock


class Filled(Buffer):
    """A buffer in memory that begins with a start, and its backlog."""

    def __init__(self, count=0, *, max_bytes=10**9):
        self.memory = MemoryStage(FakeClock(), max_bytes)
        super().__init__(FakeClock(), self.memory)
        self.backlog = Backlog(self, FakeClock(), start=b'"type":"start"}')
        self.add("start", b'{"type":"start"}')
        for n in range(count):
            self.add("event", b'{"type":"event","n":%d}' % n)

    def add(self, kind, body):
        self.append(kind, ANY_FORM, 0, body[1:])


filled = Filled


def lines(chunk):
    return [msgspec.json.decode(line) for line in chunk.body.splitlines()]


def everything(buffer):
    chunk = buffer.backlog.take(10**9, 10**9)
    return lines(chunk) if chunk else []


def covered(records):
    """Every number that the records stand for, in their order."""
    return [seq for each in records for seq in range(each.get("first", each["seq"]), each["seq"] + 1)]


def test_records_are_numbered_in_the_order_they_came():
    assert [each["seq"] for each in everything(filled(3))] == [1, 2, 3, 4]


def test_what_was_taken_stays_until_it_is_acknowledged():
    buffer = filled(3)
    assert everything(buffer) == everything(buffer)
    buffer.backlog.acknowledge(3)
    assert [each["seq"] for each in everything(buffer)] == [4]
    buffer.backlog.acknowledge(4)
    assert not buffer.backlog.waiting


def test_a_chunk_has_bounds_and_at_least_one_record():
    buffer = filled(10)
    assert len(buffer.read(0, 1, 100)) == 1
    assert len(buffer.read(0, 10**6, 4)) == 4


def test_many_threads_leave_no_gap_and_lose_nothing():
    buffer = filled(0)

    def add(name):
        for n in range(2000):
            buffer.add("event", b'{"who":%d,"n":%d}' % (name, n))

    threads = [threading.Thread(target=add, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = everything(buffer)
    assert [each["seq"] for each in records] == list(range(1, 16_002))
    for name in range(8):
        assert [each["n"] for each in records if each.get("who") == name] == list(range(2000))


def test_a_signal_handler_in_the_middle_of_an_append_neither_blocks_nor_loses():
    buffer = filled(0)
    handled = 0

    def handler(*_):
        nonlocal handled
        handled += 1
        buffer.add("event", b'{"from":"signal"}')

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        added = 0
        while handled < 100:
            buffer.add("event", b'{"from":"main"}')
            added += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert [each["seq"] for each in everything(buffer)] == list(range(1, added + handled + 2))


def test_an_append_from_a_destructor_is_taken():
    buffer = filled(0)

    class Dying:
        def __del__(self):
            buffer.add("event", b'{"from":"del"}')

    buffer.hold()  # as if the collector ran in the middle of an append
    Dying()
    buffer.let_go()
    buffer.add("event", b'{"from":"main"}')
    assert [each.get("from") for each in everything(buffer)][1:] == ["del", "main"]


def test_a_fork_in_the_middle_of_a_fork_holds_until_both_are_over_and_loses_nothing():
    buffer = filled(0)
    buffer.hold()
    buffer.add("event", b'{"n":1}')
    buffer.hold()
    buffer.add("event", b'{"n":2}')
    buffer.let_go()
    buffer.add("event", b'{"n":3}')
    assert not buffer.take_along()
    buffer.let_go()
    buffer.add("event", b'{"n":4}')
    assert buffer.take_along()
    assert [each.get("n") for each in everything(buffer)][1:] == [1, 2, 3, 4]


def test_however_many_come_in_the_middle_of_an_append_all_are_taken_along():
    buffer = filled(0)
    buffer.hold()
    for n in range(5_000):
        buffer.add("event", b'{"n":%d}' % n)
    buffer.let_go()
    assert [each.get("n") for each in everything(buffer)][1:] == list(range(5_000))


def test_the_oldest_metrics_go_first():
    buffer = filled(20, max_bytes=20_000)
    for n in range(200):
        buffer.add("metric", b'{"type":"metric","n":%d}' % n)
    kept = everything(buffer)
    assert [each["n"] for each in kept if each["type"] == "event"] == list(range(20))
    assert kept[-1]["n"] == 199
    assert buffer.dropped.keys() == {"metric"}


def test_then_the_oldest_of_all_go_but_never_start_and_end():
    buffer = filled(20, max_bytes=20_000)
    buffer.add("end", b'{"type":"end"}')
    for n in range(500):
        buffer.add("event", b'{"type":"event","n":%d}' % n)
    kept = everything(buffer)
    assert [each["type"] for each in kept][:4] == ["start", "loss", "end", "loss"]
    assert kept[-1]["n"] == 499


def test_a_full_buffer_does_not_make_each_append_slow():
    buffer = filled(max_bytes=1_000_000)
    began = time.perf_counter()
    for n in range(50_000):
        kind = "metric" if n % 2 else "event"
        buffer.add(kind, b'{"type":"%s","n":%d}' % (kind.encode(), n))
    assert time.perf_counter() - began < 5
    assert buffer.memory._bytes <= 1_000_000


@pytest.mark.parametrize("rounds", [400, 5000])
def test_what_is_dropped_leaves_loss_records_over_exactly_its_numbers(rounds):
    buffer = filled(max_bytes=30_000)
    for n in range(rounds):
        kind = "metric" if n % 3 else "event"
        buffer.add(kind, b'{"type":"%s","n":%d}' % (kind.encode(), n))
    records = everything(buffer)
    assert covered(records) == list(range(1, rounds + 2))
    counted = sum(sum(each["counts"].values()) for each in records if each["type"] == "loss")
    assert counted == sum(buffer.dropped.values()) > 0
    assert sum(len(msgspec.json.encode(each)) for each in records) < 20_000


def test_what_is_being_sent_is_not_dropped():
    buffer = filled(20, max_bytes=20_000)
    before = everything(buffer)
    for n in range(500):
        buffer.add("event", b'{"type":"event","n":%d}' % n)
    assert everything(buffer)[: len(before)] == before


def test_a_server_that_lost_records_is_told_what_it_will_never_get():
    buffer = filled(5)
    buffer.backlog.take(10**6, 10**6)
    buffer.backlog.acknowledge(5)
    buffer.backlog.go_back(3)
    assert [(each["type"], each.get("first"), each["seq"]) for each in everything(buffer)] == [
        ("loss", 4, 5),
        ("event", None, 6),
    ]


def test_a_server_that_knows_nothing_is_given_the_start_again():
    buffer = filled(5)
    buffer.backlog.acknowledge(5)
    buffer.backlog.go_back(0)
    records = everything(buffer)
    assert [each["type"] for each in records] == ["start", "loss", "event"]
    assert covered(records) == [1, 2, 3, 4, 5, 6]


def test_a_record_given_up_is_said_to_be_lost():
    buffer = filled(2)
    buffer.backlog.drop(buffer.read(0, 10**6, 10**6)[1], "refused: wrong_type")
    records = everything(buffer)
    assert (records[1]["type"], records[1]["reason"], records[1]["counts"]) == (
        "loss",
        "refused: wrong_type",
        {"event": 1},
    )
    assert covered(records) == [1, 2, 3]
