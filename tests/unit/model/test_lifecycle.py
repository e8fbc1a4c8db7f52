from hypothesis import given
from hypothesis import strategies as st

from datacat.model.lifecycle import FINAL, RUNNING, TRANSITIONS, Status, Trigger, next_status


def test_every_status_has_an_answer_to_every_trigger():
    assert set(TRANSITIONS) == set(Status)
    assert all(set(row) == set(Trigger) for row in TRANSITIONS.values())


@given(st.lists(st.sampled_from(Trigger)))
def test_a_final_status_is_left_by_a_correction_alone_and_for_a_crash(triggers):
    status = Status.ACTIVE
    for trigger in triggers:
        before, status = status, next_status(status, trigger)
        if before in FINAL and status is not before:
            assert (before, trigger, status) == (Status.ENDED, Trigger.CORRECTION, Status.CRASHED)


def test_a_crash_is_never_left():
    assert {next_status(Status.CRASHED, trigger) for trigger in Trigger} == {Status.CRASHED}


def test_a_lost_session_that_speaks_is_active_again():
    assert next_status(Status.LOST, Trigger.CONTACT) is Status.ACTIVE


def test_contact_does_not_wake_a_hung_program():
    assert next_status(Status.HUNG, Trigger.CONTACT) is Status.HUNG


def test_running_and_final_do_not_overlap():
    assert not RUNNING & FINAL
