"""How far one page looks."""

from typing import Any

from datacat.model.session import Session
from datacat.query.pages import LOOKED_AT, Asked, events, window_of
from datacat.store.asked import Wanted, Window


class Nothing:
    """A reader that finds nothing, and remembers where it was asked to look."""

    def __init__(self):
        self.asked = []

    def event_window(self, _session_id, window, _wanted, _limit):
        self.asked.append(window)
        return []


def test_a_page_looks_at_a_bounded_number_of_rows_and_the_next_goes_on():
    reader: Any = Nothing()
    session = Session(id="x", created_at=0, updated_at=0, events=2 * LOOKED_AT + 5)
    after, pages = 0, 0
    while after is not None:
        after = events(reader, session, Asked(after, None, 10), Wanted(names=frozenset("a")))["next"]
        pages += 1
    assert pages == 3
    assert [(each.first, each.until) for each in reader.asked] == [
        (0, LOOKED_AT), (LOOKED_AT, 2 * LOOKED_AT), (2 * LOOKED_AT, 2 * LOOKED_AT + 5),
    ]  # fmt: skip
    before = events(reader, session, Asked(None, None, 10), Wanted())["previous"]
    assert before == LOOKED_AT + 6
    assert window_of(Asked(None, before, 10), session.events) == Window(5, LOOKED_AT + 5, newest_first=True)


def test_a_page_between_two_numbers_looks_at_what_is_between():
    assert window_of(Asked(3, 8, 10), 100) == Window(3, 7)
    assert window_of(Asked(8, 3, 10), 100) == Window(8, 8)
