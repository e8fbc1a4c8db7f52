import os
import threading
import time

import pytest

from datacat.client import alive
from datacat.client.alive import Alive, last_alive
from datacat.testing import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def folder(tmp_path):
    alive.begin(tmp_path)
    return tmp_path


def test_the_last_time_that_was_told_is_kept(folder, clock):
    program = Alive(folder, clock)
    for _ in range(3):
        clock.advance(1.5)
        program.tell()
    assert last_alive(folder, clock.now()) == clock.now()


def test_nothing_is_known_of_a_program_that_never_told(folder, clock, tmp_path_factory):
    assert last_alive(folder, clock.now()) == 0
    assert last_alive(tmp_path_factory.mktemp("older"), clock.now()) == 0


@pytest.mark.parametrize("content", [b"", b"\1\2\3\4\5", b"\xff" * 8, b"\0" * 9], ids=len)
def test_what_cannot_be_a_time_that_has_passed_tells_nothing(folder, clock, content):
    (folder / alive.ALIVE_NAME).write_bytes(content)
    assert last_alive(folder, clock.now()) == 0


def test_nothing_is_made_where_there_is_no_journal(tmp_path, clock):
    Alive(tmp_path / "removed", clock).tell()
    Alive(tmp_path, clock).tell()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_even_to_close_a_file_stops_nothing(folder, clock, monkeypatch):
    program = Alive(folder, clock)
    program.tell()

    def refuse(file):
        raise OSError(122, "Disk quota exceeded")

    close = os.close
    monkeypatch.setattr(os, "close", lambda file: (close(file), refuse(file)))
    program.tell()
    assert last_alive(folder, clock.now()) == clock.now()


def test_it_is_told_again_and_again_until_it_is_stopped(folder, clock, monkeypatch):
    monkeypatch.setattr(alive, "EVERY", 0.001)
    program = Alive(folder, clock)
    program.start()
    program.start()
    assert sum(thread.name == "datacat-alive" for thread in threading.enumerate()) == 1
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "datacat-alive")
    deadline = time.monotonic() + 20
    while not last_alive(folder, clock.now()) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert last_alive(folder, clock.now()) == clock.now()
    program.stop()
    thread.join(20)
    assert not thread.is_alive()
