"""A message of ``datacat tail`` as a line."""

from typing import Any

import pytest

from datacat.cli.tail import line
from datacat.client.follow import LiveMessage

EVENT: dict[str, Any] = {
    "timestamp": "2024-11-23T12:00:00.123456Z",
    "name": "saved",
    "level": "info",
    "message": None,
    "data": {},
}


@pytest.mark.parametrize(
    ("today", "moment"),
    [("2024-11-23", "12:00:00.123Z"), ("2024-11-24", "2024-11-23 12:00:00.123Z")],
)
def test_what_was_before_today_says_of_which_day_it_is(today, moment):
    assert line(LiveMessage("event", EVENT, "e1.m0.c0"), today, with_session=False).startswith(
        f"[dim]{moment}[/] event"
    )
