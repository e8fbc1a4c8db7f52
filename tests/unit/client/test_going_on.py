"""A session that is gone on with by its id, where what an earlier run recorded is with the server and gone from here."""

import msgspec
import pytest

import datacat
from datacat.client.backlog import Backlog, numbered
from datacat.client.backoff import Backoff
from datacat.client.budget import Budget
from datacat.client.buffer import Buffer, Journal
from datacat.client.delivery import Delivery, Step
from datacat.client.encode import ANY_FORM
from datacat.client.journal import VERSION, About, JournalWriter
from datacat.client.journal_reader import JournalReader
from datacat.client.journal_root import open_leftover
from datacat.client.journals import left_behind
from datacat.client.leftovers import delivery_of
from datacat.client.memory import MemoryStage
from datacat.client.transport import Reply
from datacat.testing import CapturingTransport, FakeClock

ID = "01934f5e-0000-7000-8000-000000000001"
CLOCK = FakeClock()


class Run:
    """A later run, whose journal does not know of the earlier one."""

    def __init__(self, root, server, *, last_seq=0, base=None):
        about = About(VERSION, ID, "http://x", msgspec.Raw(b'{"type":"start"}'), says_goodbye=True, base=base)
        self.writer = JournalWriter(root / ID, about, room=10**6)
        journal = Journal(self.writer, JournalReader(root / ID, ID, CLOCK), Budget(root, 10**7, (), CLOCK))
        self.buffer = Buffer(CLOCK, MemoryStage(CLOCK, 10**6), journal, last_seq=last_seq)
        backlog = Backlog(self.buffer, CLOCK, after=last_seq, base=base, start=b'"type":"start"}')
        self.delivery = Delivery(ID, backlog, server, Backoff())
        for name in ("start", "event", "event"):
            self.buffer.append(name, ANY_FORM, 1, b'"type":"%s"}' % name.encode())

    def killed(self):
        self.writer.close()


@pytest.fixture
def server():
    server = CapturingTransport()
    server.send(ID, b"".join(numbered(n, b'"type":"earlier"}') for n in range(1, 21)), 1)
    return server


def everything(delivery):
    steps = [delivery.step() for _ in range(10)]
    assert steps[-1] is Step.NOTHING


def all_of(server):
    return [(each["seq"], each["type"]) for each in server.records[20:]]


@pytest.mark.parametrize(
    "answers", [[], ["unreachable"], ["lost"], [None, "unreachable"], [None, "lost"], [Reply(503)]]
)
def test_its_records_follow_those_of_the_earlier_run_and_none_is_doubled(tmp_path, server, answers):
    run = Run(tmp_path, server)
    server.answers = list(answers)
    everything(run.delivery)
    assert all_of(server) == [(21, "start"), (22, "event"), (23, "event")]
    assert run.delivery.shipped == 3
    assert not run.delivery.backlog.waiting


@pytest.mark.parametrize("answers", [["unreachable"], ["lost"], [None, "unreachable"], [None, "lost"], []])
def test_what_it_leaves_when_it_is_killed_follows_too_and_is_not_doubled(tmp_path, server, answers):
    run = Run(tmp_path, server)
    server.answers = list(answers)
    run.delivery.step()
    run.killed()
    leftover = open_leftover(tmp_path / ID, CLOCK)
    assert leftover is not None
    everything(delivery_of(leftover, CLOCK, server))
    leftover.close()
    assert all_of(server) == [(21, "start"), (22, "event"), (23, "event"), (24, "exit")]


@pytest.mark.parametrize("steps", [0, 1])
def test_a_third_run_goes_on_behind_what_the_second_one_left(tmp_path, server, monkeypatch, steps):
    monkeypatch.setenv("DATACAT_JOURNAL_DIR", str(tmp_path))
    second = Run(tmp_path, server)
    for _ in range(steps):
        second.delivery.step()
    second.killed()
    last_seq, base = left_behind(ID, CLOCK)
    assert (last_seq, base) == (3, 20 if steps else None)
    third = Run(tmp_path, server, last_seq=last_seq, base=base)
    everything(third.delivery)
    assert all_of(server) == [(n, "event" if n % 3 else "start") for n in range(21, 27)]


def test_a_server_that_forgot_the_session_is_told_what_it_will_never_get(tmp_path, server):
    run = Run(tmp_path, server)
    everything(run.delivery)
    server.last_seq = 0
    run.buffer.append("event", ANY_FORM, 1, b'"type":"event"}')
    everything(run.delivery)
    told = server.records[23:]
    assert [(each.get("first", each["seq"]), each["seq"], each["type"]) for each in told] == [
        (1, 1, "start"),
        (2, 20, "loss"),
        (21, 21, "start"),
        (22, 22, "event"),
        (23, 23, "event"),
        (24, 24, "event"),
    ]


def test_nothing_is_sent_where_it_cannot_be_written_down_how_far_the_server_is(tmp_path, server):
    run = Run(tmp_path, server)
    about = tmp_path / ID / "session.new"
    about.mkdir()
    assert run.delivery.step() is Step.FAILED
    assert all_of(server) == []
    about.rmdir()
    everything(run.delivery)
    assert [seq for seq, _ in all_of(server)] == [21, 22, 23]


def test_a_loss_of_its_own_is_told_with_the_numbers_that_the_server_counts(server):
    buffer = Buffer(CLOCK, MemoryStage(CLOCK, 3_000))
    delivery = Delivery(ID, Backlog(buffer, CLOCK, base=None), server, Backoff())
    for kind in ("start", *["event"] * 99):
        buffer.append(kind, ANY_FORM, 1, b'"type":"%s"}' % kind.encode())
    everything(delivery)
    told = server.records[20:]
    assert "loss" in {each["type"] for each in told}
    covered = [seq for each in told for seq in range(each.get("first", each["seq"]), each["seq"] + 1)]
    assert covered == list(range(21, 121))


def test_a_session_without_a_journal_goes_on_too(server):
    with datacat.create_session(session_id=ID, transport=lambda: server) as session:
        session.log_event("later")
    assert all_of(server) == [(21, "start"), (22, "event"), (23, "end")]
