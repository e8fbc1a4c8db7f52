"""One reader's way through one session: what is stored and was not told yet, read from the store.

What must hold: nothing is lost, whatever happens between two looks. A session's rows are numbered, so the id of
a message is how many of each list have been told (``e12.m40.c3``); it means the same after a restart of the
service, and beyond anything that is held in memory. Problems have no such number, as they change where they
stand: their part of the id (``.p1a2b3c4d``) is a checksum of how they stood.

A reader who is slow reads later. Nothing waits for it.
"""

import re
import zlib
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from datacat.model.errors import InvalidInput
from datacat.model.limits import MAX_SEQ
from datacat.model.session import Session
from datacat.query import news
from datacat.query.gaps import other_database
from datacat.query.news import LEVELS, Kind
from datacat.query.pages import Asked, page
from datacat.query.sessions import find
from datacat.store.asked import Wanted
from datacat.store.port import Reader
from datacat.wire.codec import encode
from datacat.wire.sse import message
from datacat.wire.timestamps import rfc3339

_ROWS: Final = 200
"""Events and metrics in one look, each; a row may weigh a megabyte."""
_CHANGES: Final = 20
_PROBLEMS: Final = 100

_ID: Final = re.compile(r"e(\d{1,16})\.m(\d{1,16})\.c(\d{1,16})(?:\.p([0-9a-f]{1,8}))?", re.ASCII)


class Position(Struct, frozen=True):
    """How many events, metrics and changes of state have been told, and a checksum of the problems.

    >>> parse_position("e12.m40.c3.p1f", field="after")
    Position(events=12, metrics=40, changes=3, problems=31)
    >>> str(Position(12, 40, 3))
    'e12.m40.c3.p0'
    """

    events: int = 0
    metrics: int = 0
    changes: int = 0
    problems: int = 0

    def __str__(self) -> str:
        return f"e{self.events}.m{self.metrics}.c{self.changes}.p{self.problems:x}"


def parse_position(text: str, *, field: str) -> Position:
    """The position that an id says.

    Raises:
        InvalidInput: code ``bad_cursor``.
    """
    match = _ID.fullmatch(text)
    counts = [int(each) for each in match.groups()[:3]] if match else []
    if match is None or max(counts) > MAX_SEQ:
        raise InvalidInput(
            "bad_cursor",
            f"{field} is no place in a session: send the id of the last message, such as e12.m40.c3, or leave it out",
            field=field,
            found=repr(text[:80]),
            expected="the id of a message of this session",
        )
    events, metrics, changes = counts
    return Position(events, metrics, changes, int(match[4] or "0", 16))


def newest(session: Session, last: int) -> Position:
    """The place before the ``last`` rows of each list."""
    return Position(
        max(0, session.events - last), max(0, session.metrics - last), max(0, session.changes - last)
    )


class Following:
    """Reads what is new, a bounded piece at a time.

    ``behind`` says whether there was more than one piece; ``told`` counts the messages.

    Args:
        reader: whom to ask.
        session_id: of an existing session.
        kinds: those that are wanted.
        least_level: of the events that are wanted, a rank of :data:`datacat.query.news.LEVELS`.
    """

    def __init__(self, reader: Reader, session_id: str, kinds: frozenset[Kind], least_level: int) -> None:
        self._reader = reader
        self._id = session_id
        self._kinds = kinds
        self._wanted = Wanted(least_level=LEVELS[least_level])
        self._problems: list[bytes] = []
        self.position = Position()
        self.behind = True
        self.told = 0

    def begin(self, position: Position | None, last: int, now: int) -> bytes:
        """The first messages: how the session stands, and the gap where ``position`` is beyond it.

        Args:
            position: the place behind which to go on.
            last: without a position, how many rows of each list are told that were there before.
            now: microseconds since the epoch.

        Raises:
            UnknownSession: it is gone.
        """
        session = self._session = find(self._reader, self._id)
        first = b""
        self._problems = problems = self._read_problems()
        checksum = _checksum(problems)
        if position is None:
            self.position = replace(newest(session, last), problems=checksum)
        else:
            self.position = Position(
                min(position.events, session.events),
                min(position.metrics, session.metrics),
                min(position.changes, session.changes),
                checksum,
            )
            if position.problems != checksum:
                self._problems = []
            if self.position != replace(position, problems=checksum):
                first = self._message("gap", encode(other_database(rfc3339(now))))
        if "session" in self._kinds:
            first += self._message("session", news.of_session(session, now).data)
        if self._problems != problems:
            first += self._tell_problems(problems)
        return first

    def read(self, session: Session | None, now: int, *, problems: bool) -> bytes:
        """The next messages, as they travel; empty when there are none.

        Args:
            session: as the last commit left it; None to look for it in the store.
            now: microseconds since the epoch.
            problems: whether they may have changed.

        Raises:
            UnknownSession: it is gone.
        """
        before = self._session
        # What is told of a commit may come after what that commit wrote has been read.
        if session is None:
            session = find(self._reader, self._id)
        if _age(session) < _age(before):
            session = before
        self._session = session
        messages = self._read_rows(session)
        if problems:
            messages += self._tell_problems(self._read_problems())
        if "session" in self._kinds and news.standing(session) != news.standing(before):
            messages += self._message("session", news.of_session(session, now).data)
        return messages

    def _read_rows(self, session: Session) -> bytes:
        reader, place = self._reader, self.position
        found_events = found_metrics = None
        if "event" in self._kinds and place.events < session.events:
            asked = Asked(place.events, None, _ROWS)
            found_events = page(reader.event_window, session.id, session.events, asked, self._wanted)
        if "metric" in self._kinds and place.metrics < session.metrics:
            asked = Asked(place.metrics, None, _ROWS)
            found_metrics = page(reader.metric_window, session.id, session.metrics, asked, Wanted())
        changes = []
        if "state" in self._kinds and place.changes < session.changes:
            changes = reader.changes(session.id, place.changes, _CHANGES)
        told = news.rows(
            session,
            [(n + 1, row) for n, row in found_events.rows] if found_events else [],
            [(n + 1, row) for n, row in found_metrics.rows] if found_metrics else [],
            list(enumerate(changes, place.changes + 1)),
        )
        messages = []
        for each in told:
            match each.kind:
                case "event":
                    self.position = replace(self.position, events=each.number)
                case "metric":
                    self.position = replace(self.position, metrics=each.number)
                case _:
                    self.position = replace(self.position, changes=each.number)
            messages.append(self._message(each.kind, each.data))
        next_event = found_events.next if found_events else None
        next_metric = found_metrics.next if found_metrics else None
        self.position = replace(
            self.position,
            events=next_event or max(place.events, session.events),
            metrics=next_metric or max(place.metrics, session.metrics),
            changes=place.changes + len(changes) if changes else max(place.changes, session.changes),
        )
        self.behind = bool(next_event or next_metric or self.position.changes < session.changes)
        return b"".join(messages)

    def _read_problems(self) -> list[bytes]:
        if "problem" not in self._kinds:
            return []
        session = self._session
        found = self._reader.problems_of(session.id, evidence=False)
        return [news.of_problem(session, problem).data for problem in found]

    def _tell_problems(self, problems: list[bytes]) -> bytes:
        known = set(self._problems)
        changed = [each for each in problems if each not in known][-_PROBLEMS:]
        self._problems = problems
        self.position = replace(self.position, problems=_checksum(problems))
        return b"".join(self._message("problem", each) for each in changed)

    def _message(self, event: str, data: bytes) -> bytes:
        self.told += 1
        return message(event, data, str(self.position))


def _checksum(problems: list[bytes]) -> int:
    checksum = 0
    for each in problems:
        checksum = zlib.crc32(each, checksum)
    return checksum


def _age(session: Session) -> int:
    return sum(session.last_seq.values())
