from typing import Any

import pytest

from datacat.client import pulse
from datacat.client.outside import Back, Continued, Outside, Silent, Stopped, untold


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
    assert silent == Silent("main", 2.0, 2.25, program.slot[pulse.LAST_BEAT])
    assert program.seen(100) == []


def test_its_end_is_told_too(program):
    program.seen(1, beating=True, looking=True)
    program.seen(10)
    before = program.slot[pulse.LAST_BEAT]
    assert program.seen(0.25, beating=True, looking=True) == [Back("main", 10.25, before, program.now)]
    assert program.seen(10, beating=True, looking=True) == []


def test_its_end_is_told_when_the_monitor_was_stopped_meanwhile(program):
    program.seen(1, beating=True, looking=True)
    program.seen(10)
    program.slot[pulse.STATE] = pulse.FREE
    assert program.seen(0.25) == []
    before, program.slot[pulse.LAST_BEAT] = program.slot[pulse.LAST_BEAT], program.now
    assert program.seen(0.25) == [Back("main", 10.25, before, program.slot[pulse.LAST_BEAT])]
    assert program.seen(10) == []


@pytest.mark.parametrize("anew", [{pulse.TIMEOUT: 9.0}, {}], ids=["with another timeout", "as it was"])
def test_its_end_is_told_when_the_monitor_was_started_anew(program, anew):
    program.seen(1, beating=True, looking=True)
    program.seen(10)
    before, program.slot[pulse.LAST_BEAT] = program.slot[pulse.LAST_BEAT], program.now
    for number, value in anew.items():
        program.slot[number] = value
    assert program.seen(0.25, looking=True) == [Back("main", 10.0, before, program.slot[pulse.LAST_BEAT])]
    assert program.seen(1, beating=True, looking=True) == []


def test_its_end_is_told_when_another_monitor_has_taken_the_slot(program):
    program.seen(1, beating=True, looking=True)
    program.seen(10)
    before = program.slot[pulse.LAST_BEAT]
    slots = {"loading": (*program.slot[: pulse.LAST_BEAT], program.now, program.now, 0.0, 0.0, 77.0)}
    assert program.outside.look(program.now, "S", False, slots) == [Back("main", 10.0, before, program.now)]
    assert program.outside.look(program.now, "S", False, slots) == []


def test_hangs_that_the_program_told_and_whose_ends_it_could_not_are_known(program):
    program.slot[pulse.REPORTED] = before = program.slot[pulse.LAST_BEAT]
    assert untold({"main": tuple(program.slot)}) == []
    program.slot[pulse.LAST_BEAT] += 7
    assert untold({"main": tuple(program.slot)}) == [Back("main", 7.0, before, before + 7)]


def test_while_it_tells_of_one_hang_it_forgives_no_other(program):
    began = program.now
    slots = {"a": tuple(program.slot), "b": tuple(program.slot)}
    slots["b"] = (*slots["b"][: pulse.LAST_BEAT], began + 0.5, *slots["b"][pulse.LAST_BEAT + 1 :])
    told: list[Any] = []
    while not told:
        program.now += 0.25
        told = program.outside.look(program.now, "S", False, slots)
    program.now += 1.4
    program.outside.held_up(program.now)
    program.now += 0.25
    told += program.outside.look(program.now, "S", False, slots)
    assert [(each.monitor, each.beat - began) for each in told] == [("a", 0.0), ("b", 0.5)]


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
