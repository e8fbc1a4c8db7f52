import pytest

from datacat.client.silence import HeartbeatWatch, Hung, Recovered
from datacat.testing import FakeClock


class Walk:
    """Checks every five seconds; ``beat`` is the last heartbeat."""

    def __init__(self):
        self.clock = FakeClock()
        self.watch = HeartbeatWatch(self.clock.monotonic(), timeout=60, check_interval=5)
        self.last = self.clock.monotonic()

    def beat(self):
        self.last = self.clock.monotonic()

    def __call__(self, checks, **how):
        found = []
        for _ in range(checks):
            self.clock.advance(5)
            found.append(self.watch.check(self.clock.monotonic(), self.last, **how))
        return [each for each in found if each is not None]


@pytest.fixture
def walk():
    return Walk()


def test_the_clock_starts_with_the_watch_and_a_hang_is_told_once(walk):
    began = walk.last
    assert walk(12) == []
    assert walk(50) == [Hung(65.0, began)]


def test_the_next_heartbeat_is_the_recovery(walk):
    before = walk.last
    walk(20)
    walk.beat()
    assert walk(1) == [Recovered(100.0, before, walk.last)]
    assert walk(12) == [Hung(65.0, walk.last)]


def test_beats_in_time_are_no_hang(walk):
    for _ in range(50):
        walk.beat()
        assert walk(1) == []


def test_a_machine_that_slept_did_not_hang(walk):
    walk(2)
    walk.clock.advance(3600)
    assert walk.watch.check(walk.clock.monotonic(), walk.last) is None
    assert walk(9) == []
    assert len(walk(5)) == 1


def test_time_in_which_nobody_watched_is_not_silence_however_short(walk):
    for _ in range(100):
        walk.clock.advance(5 + 1.1)  # each check comes late: the machine is loaded
        assert walk.watch.check(walk.clock.monotonic(), walk.last) is None or walk.clock.monotonic() > 1060
        walk.beat()
    walk.clock.advance(59)
    assert walk.watch.check(walk.clock.monotonic(), walk.last) is None


def test_late_checks_while_the_process_worked_are_silence(walk):
    found = []
    for n in range(1, 10):
        walk.clock.advance(5 + 6)  # some call keeps the interpreter's lock
        found.append(walk.watch.check(walk.clock.monotonic(), walk.last, worked=11.0 * n))
    assert [each for each in found if each] == [Hung(66.0, walk.last)]


def test_a_pause_is_no_hang_and_the_clock_starts_anew_after_it(walk):
    walk.watch.pause()
    assert walk(100) == []
    walk.watch.resume(walk.clock.monotonic())
    assert walk(12) == []
    assert len(walk(1)) == 1


def test_a_pause_within_a_pause_ends_with_the_outer_one(walk):
    walk.watch.pause()
    walk.watch.pause()
    walk.watch.resume(walk.clock.monotonic())
    assert walk(100) == []
    walk.watch.resume(walk.clock.monotonic())
    assert len(walk(13)) == 1


def test_samples_are_due_one_check_before_a_hang_can_be_told(walk):
    due = []
    for _ in range(13):
        due.append(walk.watch.nearly(walk.clock.monotonic(), walk.last))
        walk(1)
    assert due == [False] * 12 + [True]
    assert not walk.watch.nearly(walk.clock.monotonic(), walk.last), "it was told"


def test_a_hang_that_another_watcher_tells_is_not_told_twice(walk):
    assert walk(50, telling=False) == []
    assert walk(1) == [Hung(255.0, walk.last)]
