import threading
import time

import pytest

from datacat.client import shipper as shipping_module
from datacat.client.backlog import Backlog
from datacat.client.backoff import LONGEST, Backoff
from datacat.client.buffer import Buffer
from datacat.client.delivery import Delivery, Step
from datacat.client.encode import ANY_FORM
from datacat.client.memory import MemoryStage
from datacat.client.shipper import Shipper
from datacat.client.transport import Reply
from datacat.testing import CapturingTransport, FakeClock


class Impatient(Backoff):
    """Waits as good as nothing, and remembers what it was asked."""

    def __init__(self):
        super().__init__(lambda: 0.5)
        self.asked = []

    def failed(self, retry_after=None):
        self.asked.append(retry_after)
        return 0.001


def make(transport, events, backoff=None, *, buffer=Buffer, leaves=False):
    clock = FakeClock()
    buffer = buffer(clock, MemoryStage(clock, 10**6))
    backlog = Backlog(buffer, clock, start=b'"type":"start"}')
    buffer.append("start", ANY_FORM, 0, b'"type":"start"}')
    for n in range(events):
        buffer.append("event", ANY_FORM, 0, b'"type":"event","n":%d}' % n)
    return buffer, Shipper("id", buffer, backlog, transport, backoff or Impatient(), leaves=leaves)


@pytest.fixture
def shipping():
    transport, backoff = CapturingTransport(), Impatient()
    buffer, shipper = make(transport, 5, backoff)
    yield shipper, buffer, transport, backoff
    transport.answers = []
    assert shipper.finish(10)


@pytest.mark.parametrize(
    "answers",
    [
        [],
        ["unreachable"] * 3,
        ["lost"] * 3,
        [Reply(503, retry_after=2.0), "lost", Reply(500), Reply(502)],
        [Reply(200)],  # somebody else's server
        [Reply(301), Reply(401), Reply(429)],
        [Reply(400, detail="a plain HTTP request was sent to an HTTPS port"), Reply(422, detail="no")],
        [Reply(200, last_seq=0)],
        [Reply(404, code="unknown_session")],
    ],
)
def test_everything_arrives_once_and_in_order_whatever_the_server_does(shipping, answers):
    shipper, _, transport, backoff = shipping
    transport.answers = list(answers)
    shipper.start()
    assert shipper.flush(10)
    assert [each["seq"] for each in transport.records] == [1, 2, 3, 4, 5, 6]
    assert not shipper.delivery.backlog.waiting
    assert len(backoff.asked) == len(answers)


def test_the_server_says_how_long_to_wait(shipping):
    shipper, _, transport, backoff = shipping
    transport.answers = [Reply(503, retry_after=7.0)]
    shipper.start()
    assert shipper.flush(10)
    assert backoff.asked == [7.0]


def test_a_server_that_forgot_the_session_is_given_it_again(shipping):
    shipper, buffer, transport, _ = shipping
    shipper.start()
    assert shipper.flush(10)
    transport.last_seq = 0
    transport.records.clear()
    buffer.append("event", ANY_FORM, 0, b'"type":"event","n":9}')
    assert shipper.flush(10)
    assert [each["type"] for each in transport.records] == ["start", "loss", "event"]


class Picky(CapturingTransport):
    """Takes all but the third."""

    def send(self, session_id, body, timeout):
        return Reply(422, code="wrong_type") if b'"n":3' in body else super().send(session_id, body, timeout)


def test_a_record_that_the_server_refuses_is_given_up_alone():
    transport = Picky()
    _, shipper = make(transport, 6)
    shipper.start()
    assert shipper.finish(10)
    assert [each.get("n") for each in transport.of("event")] == [0, 1, 2, 4, 5]
    assert [each["reason"] for each in transport.of("loss")] == ["refused: wrong_type"]


@pytest.mark.parametrize(
    "answer",
    [
        Reply(400, detail="a plain HTTP request was sent to an HTTPS port"),
        Reply(400, code="bad_record"),
        Reply(413, detail="request entity too large"),
        Reply(422, code="wrong_type"),
        Reply(409, last_seq=0, code="sequence_gap"),
        Reply(404, code="unknown_session"),
        Reply(200, last_seq=0),
    ],
)
@pytest.mark.parametrize("known", [0, 3])
def test_a_server_that_answers_the_same_to_everything_is_asked_ever_less_and_costs_one_record_at_most(
    answer, known
):
    class Refusing(CapturingTransport):
        def send(self, session_id, body, timeout):
            self.batches += 1
            return answer

    clock, backoff = FakeClock(), Impatient()
    buffer = Buffer(clock, MemoryStage(clock, 10**6))
    for kind in ("start", *["event"] * 9):
        buffer.append(kind, ANY_FORM, 0, b'"type":"%s"}' % kind.encode())
    backlog = Backlog(buffer, clock, after=known, start=b'"type":"start"}')
    transport = Refusing()
    delivery = Delivery("id", backlog, transport, backoff)
    steps = [delivery.step() for _ in range(100)]
    assert steps.count(Step.SENT) < 10
    assert steps[10:] == [Step.FAILED] * 90
    assert sum(backlog.given_up.values()) <= 1
    assert backlog.waiting


def test_a_record_that_is_refused_behind_a_gap_is_given_up_alone():
    transport = Picky()
    buffer, shipper = make(transport, 6)
    backlog = shipper.delivery.backlog
    buffer.release(4)
    steps = [shipper.delivery.step() for _ in range(10)]
    assert (steps[-1], backlog.waiting) == (Step.NOTHING, False)
    assert [each.get("n") for each in transport.of("event")] == [4, 5]
    assert [(each["first"], each["seq"]) for each in transport.of("loss")] == [(2, 4), (5, 5)]


def test_a_flush_gives_up_in_time(shipping):
    shipper, _, transport, _ = shipping
    transport.answers = ["unreachable"] * 100_000
    shipper.start()
    began = time.monotonic()
    assert shipper.flush(0.2) is False
    assert time.monotonic() - began < 2


def test_waits_grow_with_jitter_and_are_forgotten_after_a_success():
    longest = Backoff(lambda: 1.0)
    waits = [longest.failed() for _ in range(12)]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST
    longest.succeeded()
    assert longest.failed() == waits[0]
    assert Backoff(lambda: 0.0).failed() > 0
    assert Backoff(lambda: 0.0).failed(retry_after=5) == 5


def test_an_error_that_nobody_foresaw_does_not_end_the_shipping():
    class Stumbling(CapturingTransport):
        stumbled = False

        def send(self, session_id, body, timeout):
            if not self.stumbled:
                self.stumbled = True
                raise LookupError("unknown encoding: idna")
            return super().send(session_id, body, timeout)

    transport = Stumbling()
    _, shipper = make(transport, 0)
    shipper.start()
    assert shipper.finish(10)
    assert len(transport.of("start")) == 1
    assert "idna" in (shipper.delivery.last_error or "")


def test_who_promised_contact_never_waits_past_it():
    backoff = Backoff(draw=lambda: 1.0, longest=0.5)
    assert max(backoff.failed() for _ in range(20)) == 0.5
    assert Backoff(draw=lambda: 1.0).failed() <= 0.5
    assert max(Backoff(longest=99).failed() for _ in range(20)) <= 30


def rested(shipper):
    deadline = time.monotonic() + 20
    while shipper._thread is not None and time.monotonic() < deadline:
        time.sleep(0.001)
    return shipper._thread is None


def test_what_is_finished_comes_to_rest_and_is_woken_by_what_is_recorded_later(shipping):
    shipper, buffer, transport, _ = shipping
    shipper.start()
    assert shipper.finish(10)
    assert rested(shipper)
    assert shipper.finish(10)
    for n in (7, 8):
        buffer.append("event", ANY_FORM, 0, b'"type":"event","n":%d}' % n)
        shipper.go_on()
        assert shipper.flush(10)
        assert rested(shipper)
    assert [each.get("n") for each in transport.records] == [None, 0, 1, 2, 3, 4, 7, 8]


def test_what_slipped_in_while_it_came_to_rest_is_sent_by_whoever_waits_for_it(shipping):
    shipper, buffer, transport, _ = shipping
    shipper.start()
    assert shipper.finish(10)
    assert rested(shipper)
    buffer.append("event", ANY_FORM, 0, b'"type":"event","n":7}')  # nobody says so
    assert shipper.finish(10)
    assert [each.get("n") for each in transport.records][-1] == 7


def test_rest_is_told_once_all_is_delivered(shipping):
    told = []
    transport = CapturingTransport()
    _, shipper = make(transport, 2)
    shipper._at_rest = lambda: told.append(len(transport.records))
    shipper.start()
    assert shipper.finish(10)
    deadline = time.monotonic() + 20
    while not told and time.monotonic() < deadline:
        time.sleep(0.001)
    assert told == [3]


def test_a_session_that_is_over_and_cannot_be_delivered_looks_no_oftener_than_it_tries(shipping):
    shipper, _, transport, backoff = shipping
    transport.answers = ["unreachable"] * 100_000
    backoff.failed = lambda retry_after=None: 30.0
    shipper.start()
    assert shipper.finish(0.3) is False
    assert 20 < shipper._until_next_look() <= 30
    transport.answers = []
    assert shipper.flush(10)
    assert rested(shipper)


class Left(Buffer):
    """A buffer whose journal can be left."""

    left = 0

    def leave(self):
        self.left += 1
        return self.last_seq


def test_what_comes_while_a_journal_is_left_is_left_with_it():
    class Interrupted(Left):
        def leave(self):
            self.append("event", ANY_FORM, 0, b'"type":"event","n":7}')
            return super().leave()

    transport = CapturingTransport()
    transport.answers = ["unreachable"]
    buffer, shipper = make(transport, 0, buffer=Interrupted, leaves=True)
    shipper.go_on()
    assert rested(shipper)
    assert (buffer.left, transport.records) == (1, [])


def test_what_cannot_be_delivered_after_the_end_is_left_and_what_comes_later_is_ours_again():
    transport = CapturingTransport()
    transport.answers = ["unreachable"]
    buffer, shipper = make(transport, 0, buffer=Left, leaves=True)
    shipper.go_on()
    assert rested(shipper)
    assert (buffer.left, shipper.finish(10), shipper.flush(10), transport.records) == (1, False, False, [])
    buffer.append("event", ANY_FORM, 0, b'"type":"event","n":7}')
    shipper.go_on()
    assert shipper.flush(10)
    assert rested(shipper)
    assert [each["type"] for each in transport.records] == ["start", "event"]


def test_where_no_thread_can_be_started_whoever_waits_ships(shipping, monkeypatch):
    """Python 3.12 and later start none once the interpreter ends."""
    shipper, buffer, transport, _ = shipping
    transport.answers = ["unreachable"] * 2

    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    shipper.start()
    assert shipper.flush(10)
    buffer.append("event", ANY_FORM, 0, b'"type":"event","n":7}')
    shipper.go_on()
    assert shipper.finish(10)
    assert [each.get("n") for each in transport.records] == [None, 0, 1, 2, 3, 4, 7]


def test_what_is_recorded_after_the_end_and_cannot_be_delivered_is_left_too():
    transport = CapturingTransport()
    buffer, shipper = make(transport, 0, buffer=Left, leaves=True)
    shipper.start()
    assert shipper.finish(10)
    assert rested(shipper)
    transport.answers = ["unreachable"] * 2
    for n in (7, 8):
        buffer.append("event", ANY_FORM, 0, b'"type":"event","n":%d}' % n)
        shipper.go_on()
        assert rested(shipper)
    assert (buffer.left, [each["type"] for each in transport.records]) == (2, ["start"])


def test_what_comes_late_and_often_does_not_end_and_begin_each_time(shipping, monkeypatch):
    monkeypatch.setattr(shipping_module, "_LINGER", 0.5)
    shipper, buffer, _, _ = shipping
    discarded: list[int] = []
    monkeypatch.setattr(buffer, "discard", discarded.append)
    shipper.start()
    assert shipper.finish(10)
    assert rested(shipper)
    threads = set()
    for n in (7, 8, 9):
        buffer.append("event", ANY_FORM, 0, b'"type":"event","n":%d}' % n)
        shipper.go_on()
        threads.add(shipper._thread)
        assert shipper.flush(10)
    assert len(threads) == 1
    assert rested(shipper)
    assert discarded == [6, 9]
