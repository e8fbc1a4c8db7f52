"""What dead programs left, delivered beside what the living one sends."""

import threading
import time
from pathlib import Path

import msgspec
import pytest

from datacat.client import leftovers as leftovers_module
from datacat.client.backlog import Backlog
from datacat.client.backoff import Backoff
from datacat.client.buffer import Buffer
from datacat.client.encode import ANY_FORM
from datacat.client.journal import VERSION, About, JournalWriter
from datacat.client.journal_root import open_leftover, remove_folder
from datacat.client.leftovers import LeftoverShipper
from datacat.client.memory import MemoryStage
from datacat.client.shipper import Shipper
from datacat.client.transport import Reply, TransportError
from datacat.model.ids import new_session_id
from datacat.testing import CapturingTransport, FakeClock


def leave(root, url):
    session_id = new_session_id()
    about = About(VERSION, session_id, url, msgspec.Raw(b'{"type":"start"}'))
    writer = JournalWriter(root / session_id, about, room=10**6)
    writer.write("start", 1, b'{"seq":1,"time":1,"type":"start"}\n', 1)
    writer.close()
    return root / session_id


def test_a_journal_that_another_is_about_to_remove_is_taken_up_by_nobody(tmp_path):
    folder = leave(tmp_path, "http://up")
    remove = [path for path in folder.iterdir() if path.name != "lock"]
    for path in [*remove, folder / "lock"]:
        path.unlink()
    assert open_leftover(folder, FakeClock()) is None
    assert not folder.exists(), "a lock in it would have kept it there"
    assert open_leftover(folder, FakeClock()) is None


def test_who_removes_a_journal_goes_on_though_another_was_faster_with_some_of_it(tmp_path, monkeypatch):
    folder = leave(tmp_path, "http://up")
    seen = list(folder.iterdir())
    for path in seen[1:3]:
        path.unlink()
    monkeypatch.setattr(Path, "iterdir", lambda _: iter(seen))
    remove_folder(folder)
    assert not folder.exists()


def test_a_journal_whose_lock_is_gone_is_delivered_all_the_same(tmp_path):
    folder = leave(tmp_path, "http://up")
    (folder / "lock").unlink()
    leftover = open_leftover(folder, FakeClock())
    assert leftover is not None
    assert leftover.first == 1
    leftover.close()


class Impatient(Backoff):
    def failed(self, retry_after=None):
        return 0.01


class Servers:
    """Of which ``http://gone`` is not there, ``http://hangs`` does not answer until it is told to, others take what comes.

    Of none of them takes what is in :attr:`refused`.
    """

    def __init__(self):
        self.refused: dict[str, Reply] = {}
        self.taken: list[str] = []
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def transport(self, url, origin):
        return Server(self, url)


class Server(CapturingTransport):
    def __init__(self, servers, url):
        super().__init__()
        self.servers, self.url = servers, url

    def send(self, session_id, body, timeout):
        self.servers.asked.set()
        if self.url == "http://hangs":
            self.servers.go_on.wait(60)
        if self.url == "http://gone":
            raise TransportError("nobody is there")
        self.servers.taken.append(session_id)
        if session_id in self.servers.refused:
            return self.servers.refused[session_id]
        return super().send(session_id, body, timeout)


def within(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


@pytest.fixture
def servers():
    servers = Servers()
    yield servers
    servers.go_on.set()


@pytest.fixture
def shipping(tmp_path, servers):
    shipper = LeftoverShipper(tmp_path, FakeClock(), servers.transport, Impatient())
    yield shipper
    servers.go_on.set()
    shipper.close()


def test_a_server_that_never_answers_holds_up_nothing_that_the_living_program_sends(
    tmp_path, servers, shipping
):
    leave(tmp_path, "http://hangs")
    clock, own = FakeClock(), CapturingTransport()
    buffer = Buffer(clock, MemoryStage(clock, 10**6))
    shipper = Shipper("id", buffer, Backlog(buffer, clock), own, claim=lambda: shipping)
    buffer.append("start", ANY_FORM, 0, b'"type":"start"}')
    shipper.start()
    assert servers.asked.wait(20)
    buffer.append("event", ANY_FORM, 0, b'"type":"event"}')
    assert shipper.flush(20)
    assert shipper.finish(20)
    assert [each["type"] for each in own.records] == ["start", "event"]
    assert not shipping._over
    servers.go_on.set()
    assert within(lambda: shipping._over)


def test_a_server_that_is_gone_stands_before_no_other(tmp_path, shipping):
    gone, there = leave(tmp_path, "http://gone"), leave(tmp_path, "http://there")
    shipping.start()
    assert within(lambda: not there.exists())
    assert gone.exists()
    shipping.close()
    assert within(lambda: shipping._over)


def test_what_a_server_refuses_is_kept_and_asked_for_once_and_stands_before_no_other(
    tmp_path, servers, shipping, monkeypatch
):
    monkeypatch.setattr(leftovers_module, "LOOK_EVERY", 0.01)
    refused, taken = sorted(leave(tmp_path, "http://there") for _ in range(2))
    servers.refused[refused.name] = Reply(403, code="key_forbids", detail="good for another product")
    shipping.start()
    assert within(lambda: not taken.exists())
    later = leave(tmp_path, "http://there")
    assert within(lambda: not later.exists())
    shipping.close(once_done=True)
    assert within(lambda: shipping._over)
    assert servers.taken == [refused.name, taken.name, later.name]
    assert refused.exists()


@pytest.mark.parametrize("answer", [Reply(401, code="key_unknown"), Reply(403), Reply(503, code="busy")])
def test_what_a_server_says_to_everyone_is_no_word_about_one(tmp_path, servers, shipping, answer):
    first, second = sorted(leave(tmp_path, "http://there") for _ in range(2))
    servers.refused[first.name] = answer
    shipping.start()
    assert within(lambda: len(servers.taken) > 3)
    assert set(servers.taken) == {first.name}
    servers.refused.clear()
    assert within(lambda: not second.exists())
    assert not first.exists()


def test_who_is_to_end_once_all_is_done_delivers_at_once_what_was_left_by_then(tmp_path, servers, shipping):
    first = leave(tmp_path, "http://there")
    shipping.start()
    assert within(lambda: not first.exists())
    second = leave(tmp_path, "http://there")
    shipping.close(once_done=True)
    assert within(lambda: shipping._over)
    assert servers.taken == [first.name, second.name]
    assert not second.exists()


def test_who_leaves_something_where_all_is_nearly_done_is_not_left_alone_with_it(tmp_path, servers, shipping):
    leave(tmp_path, "http://hangs")
    shipping.close(once_done=True)
    shipping.start()
    assert servers.asked.wait(20)
    second = leave(tmp_path, "http://there")
    assert shipping.ask()
    servers.go_on.set()
    assert within(lambda: shipping._over)
    assert not second.exists()
    assert not shipping.ask()


def test_an_error_that_nobody_foresaw_ends_no_shipping(tmp_path, servers, shipping, monkeypatch):
    left = leave(tmp_path, "http://there")
    stumbled: list[object] = []

    def stumble(*args, **keywords):
        if not stumbled:
            stumbled.append(args)
            raise LookupError("unknown encoding: idna")
        return deliver(*args, **keywords)

    deliver = leftovers_module.delivery_of
    monkeypatch.setattr(leftovers_module, "delivery_of", stumble)
    shipping.start()
    assert within(lambda: not left.exists())
    assert stumbled
