import random

import pytest

from datacat.client.backoff import FIRST, LONGEST, Backoff


def test_waits_grow_up_to_a_bound_and_begin_anew_after_a_success():
    backoff = Backoff(draw=lambda: 1.0, longest=3.0)
    assert [backoff.failed() for _ in range(6)] == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
    backoff.succeeded()
    assert backoff.failed() == 0.5


def test_no_wait_is_shorter_than_asked_for_nor_than_half_of_the_first():
    backoff = Backoff(draw=lambda: 0.0)
    assert backoff.failed() == FIRST / 2
    assert backoff.failed(retry_after=7.0) == 7.0


@pytest.mark.parametrize("longest", [LONGEST, 10 * LONGEST])
def test_no_wait_is_longer_than_half_a_minute(longest):
    backoff = Backoff(draw=lambda: 1.0, longest=longest)
    assert max(backoff.failed() for _ in range(40)) == LONGEST


def test_a_server_that_asks_for_a_day_is_asked_again_within_half_a_minute_and_the_contact_promised():
    assert Backoff(draw=lambda: 0.5).failed(retry_after=86_400.0) == LONGEST
    assert Backoff(draw=lambda: 0.5, longest=15.0).failed(retry_after=86_400.0) == 15.0


def test_the_numbers_that_a_program_draws_are_the_same_with_us():
    random.seed(7)
    alone = [random.random() for _ in range(3)]
    random.seed(7)
    backoff = Backoff()
    with_us = []
    for _ in range(3):
        assert FIRST / 2 <= backoff.failed() <= LONGEST
        with_us.append(random.random())
    assert with_us == alone
