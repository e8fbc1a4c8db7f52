"""By what sessions are found: terms, each written once a session, when it first comes.

A program says the same few things again and again, so what was seen of late is remembered, as hashes, and costs
nothing again; the table itself knows no term of a session twice.
"""

from collections.abc import Iterable
from typing import Final

from datacat.model.fold import Folded
from datacat.model.session import Session
from datacat.model.words import words
from datacat.store.sqlite.rows import Row

_SEEN: Final = 50_000
"""Hashes that are kept: some megabytes."""

COLUMNS: Final = 3
ALREADY_THERE: Final = "ON CONFLICT DO NOTHING"
DELETE: Final = "DELETE FROM term WHERE term = ? AND created_at = ? AND session = ?"


class Terms:
    """The terms of what is saved, as far as they were not seen of late."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def of_events(self, key: int, fold: Folded) -> list[Row]:
        """Rows for the events of a fold."""
        seen = self._seen
        new: list[tuple[str, str | None]] = []
        for event in fold.events:
            mark = hash((key, event.name, event.message))
            if mark not in seen:
                seen.add(mark)
                new.append((event.name, event.message))
        return rows(terms_of_events(new), fold.session.created_at, key)

    def trim(self) -> None:
        """Forget, when it has become much."""
        if len(self._seen) > _SEEN:
            self.forget()

    def forget(self) -> None:
        """What was seen may not have been kept."""
        self._seen.clear()


def of_session(key: int, before: Session | None, after: Session) -> list[Row]:
    """Rows for what a session is called, as far as that is new."""
    new = terms_of_session(after) - (terms_of_session(before) if before else frozenset())
    return rows(new, after.created_at, key)


def rows(terms: Iterable[str], created_at: int, key: int) -> list[Row]:
    """As the table has them."""
    return [(term, created_at, key) for term in sorted(terms)]


def terms_of_events(events: Iterable[tuple[str, str | None]]) -> set[str]:
    """Of events' names and messages."""
    terms: set[str] = set()
    for name, message in events:
        terms.add(event_term(name))
        terms.update(map(word_term, words(name, message)))
    return terms


def terms_of_session(session: Session) -> frozenset[str]:
    """Of what a session is called, and how it went."""
    hosts = [host_term(session.hostname)] if session.hostname else []
    said = session.exit.get("message") if session.exit else None
    texts = (session.product, session.version, session.environment, session.hostname, *session.tags)
    found = words(*texts, said if isinstance(said, str) else None)
    return frozenset([*hosts, *map(tag_term, session.tags), *map(word_term, found)])


def host_term(name: str) -> str:
    """The sessions of a host."""
    return f"h:{name}"


def tag_term(tag: str) -> str:
    """The sessions with a tag."""
    return f"t:{tag}"


def event_term(name: str) -> str:
    """The sessions in which an event of this name happened."""
    return f"e:{name}"


def word_term(word: str) -> str:
    """The sessions in which a word was said."""
    return f"w:{word}"
