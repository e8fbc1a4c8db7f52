import signal

import pytest

from datacat.client.parent.signals import Received, is_for_child


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_what_a_process_sent_is_passed_on(number):
    assert is_for_child(Received(number, from_kernel=False), same_group=True)


def test_what_the_terminal_sent_is_passed_on_only_to_a_program_that_left_its_group():
    interrupt = Received(signal.SIGINT, from_kernel=True)
    assert not is_for_child(interrupt, same_group=True)
    assert is_for_child(interrupt, same_group=False)


def test_the_end_of_a_child_is_no_signal_for_it():
    assert not is_for_child(Received(signal.SIGCHLD, from_kernel=True), same_group=False)
