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


def test_the_last_time_that_was_told_is_kept_to_the_second(folder, clock):
    program = Alive(folder, clock)
    for _ in range(37):
        program.tell()
        clock.advance(0.1)
    assert clock.now() - 1_100_000 <= last_alive(folder) <= clock.now()


def test_nothing_is_known_of_a_program_that_never_told(folder, tmp_path_factory):
    assert last_alive(folder) == 0
    assert last_alive(tmp_path_factory.mktemp("older")) == 0


def test_a_file_that_is_cut_short_tells_nothing(folder, clock):
    Alive(folder, clock).tell()
    with (folder / alive.ALIVE_NAME).open("r+b") as file:
        file.truncate(5)
    assert last_alive(folder) == 0


def test_nothing_is_made_where_there_is_no_journal(tmp_path, clock):
    Alive(tmp_path / "removed", clock).tell()
    Alive(tmp_path, clock).tell()
    assert list(tmp_path.iterdir()) == []
