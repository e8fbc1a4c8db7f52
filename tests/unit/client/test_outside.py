import pytest

from datacat.client import pulse
from datacat.client.outside import Back, Continued, Outside, Silent, Stopped


class Program:
    """Seen every quarter of a second; its monitor has a timeout of two seconds and looks every half."""

    def __init__(self):
        self.now = 100.0
        self.outside = Outside(self.now, 0.25)
        self.slot = [pulse.WATCHED, 2.0, 0.5, self.now, self.now, 0.0, 0.0, 77.0]

    def seen(self, seconds, *, state="S", traced=False, beating=False, looking=False):
        found = []
        for _ in range(int(seconds / 0.25)):
            self.now += 0.25
            if beating:
                self.slot[pulse.LAST_BEAT] = self.now
            if looking:
                self.slot[pulse.LAST_CHECK] = self.now
            found += self.outside.look(self.now, state, traced, {"main": tuple(self.slot)})
        return found


@pytest.fixture
def program():
    return Program()


def test_a_program_that_beats_is_left_alone(program):
    assert program.seen(100, beating=True, looking=True) == []


def test_a_hang_that_the_program_can_tell_itself_is_left_to_it(program):
    assert program.seen(100, looking=True) == []


def test_a_hang_that_the_program_cannot_tell_is_told_within_the_timeout_and_one_check(program):
    program.seen(10, beating=True, looking=True)
    (silent,) = program.seen(2.5)
    assert silent == Silent("main", 2.0, 2.25)
    assert program.seen(100) == []


def test_its_end_is_told_too(program):
    program.seen(1, beating=True, looking=True)
    program.seen(10)
    assert program.seen(0.25, beating=True, looking=True) == [Back("main", 10.25)]
    assert program.seen(10, beating=True, looking=True) == []


def test_its_end_is_told_when_the_monitor_was_stopped_meanwhile(program):
    program.seen(1, beating=True, looking=True)
    program.seen(10)
    program.slot[pulse.STATE] = pulse.FREE
    assert program.seen(0.25) == []
    program.slot[pulse.LAST_BEAT] = program.now
    assert program.seen(0.25) == [Back("main", 10.25)]
    assert program.seen(10) == []


def test_a_hang_that_was_told_inside_is_not_told_again(program):
    program.slot[pulse.REPORTED] = program.slot[pulse.LAST_BEAT]
    assert program.seen(100) == []


def test_a_loop_that_is_silent_while_another_holds_the_program_up_is_not_blamed_before_its_time(program):
    program.seen(10, beating=True, looking=True)
    assert program.seen(10, beating=True) == []


def test_a_stopped_program_does_not_hang(program):
    assert program.seen(100, state="T") == [Stopped(traced=False)]
    assert program.outside.stopped
    assert program.seen(1.5) == [Continued(100.0)]
    assert program.seen(10, beating=True, looking=True) == []


def test_a_program_in_a_debugger_does_not_hang(program):
    assert program.seen(100, traced=True) == [Stopped(traced=True)]


def test_a_stopped_program_that_then_hangs_does(program):
    program.seen(10, state="T")
    found = program.seen(10)
    assert [type(each) for each in found] == [Continued, Silent]


def test_a_pause_is_no_hang(program):
    program.slot[pulse.STATE] = pulse.PAUSED
    assert program.seen(100) == []
    program.slot[pulse.STATE] = pulse.WATCHED
    assert len(program.seen(10)) == 1


def test_a_machine_that_slept_did_not_hang(program):
    program.seen(10, beating=True, looking=True)
    program.now += 3600
    assert program.seen(1.5) == []
    assert program.seen(10, beating=True, looking=True) == []


def test_a_program_that_cannot_speak_is_known(program):
    program.seen(10, beating=True, looking=True)
    slots = {"main": tuple(program.slot)}
    assert not program.outside.unable(program.now, slots)
    assert program.outside.unable(program.now + 10, slots)
