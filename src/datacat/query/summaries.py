"""The list of sessions, newest first, a page at a time.

A page goes on from a place, not from a number of rows: sessions that arrive meanwhile move nothing
that is still to come, and the thousandth page costs what the first does.
"""

import re
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct

from datacat.model.errors import InvalidInput
from datacat.model.ids import parse_session_id
from datacat.model.limits import MAX_TIME
from datacat.model.session import Session
from datacat.model.state import parse_pointer
from datacat.model.titles import sentence
from datacat.store.asked import Place, Scope, Search, Sort
from datacat.store.port import Reader
from datacat.wire.timestamps import rfc3339

_CURSOR: Final = re.compile(rf"({'|'.join(get_args(Sort))})\.(-?[0-9]{{1,18}})\.([0-9a-f-]{{36}})")
"""The order that the page was in, and the place in it."""


class SessionSummary(Struct, kw_only=True):
    """A session in a line.

    ``duration`` and ``hang_seconds`` are seconds; ``events``, ``metrics`` and ``hangs`` count them, ``lost``
    the records that never arrived; ``verdict`` is a sentence.
    """

    id: str
    product: str | None
    version: str | None
    environment: str | None
    hostname: str | None
    pid: int | None
    tags: tuple[str, ...]
    created_at: str
    updated_at: str
    ended_at: str | None
    duration: float
    active: bool
    status: str
    cause: str | None
    verdict: str
    hung_at_end: bool
    hangs: int
    hang_seconds: float
    events: int
    metrics: int
    lost: int
    last_event: str | None
    last_event_at: str | None
    last_heartbeat_at: str | None


class StatusCounts(Struct):
    """How many sessions there are of each status, whatever statuses are listed."""

    active: int = 0
    hung: int = 0
    ended: int = 0
    crashed: int = 0
    lost: int = 0


class SessionPage(Struct):
    """Sessions in the order asked for; ``next`` is the cursor of the page behind them, null on the last.

    ``counts`` come with the first page alone, as they are the same for all; they are of the names and the time that are
    asked for, whatever else is.
    """

    sessions: list[SessionSummary]
    next: str | None
    counts: StatusCounts | None


def page(reader: Reader, search: Search, cursor: str | None, limit: int, now: int) -> SessionPage:
    """The page that begins where ``cursor`` says; None for the first.

    Args:
        reader: whom to ask.
        search: which sessions, in which order.
        cursor: the ``next`` of the page before.
        limit: the most sessions on it.
        now: microseconds since the epoch, for how long something has lasted.

    Raises:
        InvalidInput: code ``bad_cursor``.
    """
    found = reader.search(search, limit, _place(cursor, search.sort) if cursor else None)
    more = None if found.next is None else f"{search.sort}.{found.next.value}.{found.next.session_id}"
    counts = None if cursor else _counts(reader, search.scope)
    return SessionPage([summary(session, now) for session in found.sessions], more, counts)


def state_asked(text: str) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """A path of the state and what may be there: ``window.open.0=w1``, or ``/window/open/0=w1``, a JSON Pointer.

    What can be read as JSON is that, or the same as text.

    >>> state_asked("disk.free=12")
    (('disk', 'free'), (12, '12'))
    >>> state_asked("/a.b/c=on")
    (('a.b', 'c'), ('on',))

    Raises:
        InvalidInput: code ``wrong_value``; it is not written so.
    """
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise InvalidInput(
            "wrong_value",
            "state is written PATH=VALUE, as step=copy or disk.free=12",
            field="state",
            found=repr(text[:80]),
            expected="PATH=VALUE",
        )
    steps = parse_pointer(path) if path.startswith("/") else path.split(".")
    try:
        return tuple(steps), (msgspec.json.decode(value.encode()), value)
    except msgspec.DecodeError:
        return tuple(steps), (value,)


def _counts(reader: Reader, scope: Scope) -> StatusCounts:
    for each in reader.session_counts(scope, None, frozenset(), 1):
        return StatusCounts(each.active, each.hung_now, each.ended, each.crashed, each.lost)
    return StatusCounts()


def _place(cursor: str, sort: Sort) -> Place:
    match = _CURSOR.fullmatch(cursor)
    if match is None or abs(int(match[2])) > MAX_TIME:
        raise _bad_cursor(cursor, "is no place in this list")
    if match[1] != sort:
        raise _bad_cursor(cursor, f"is a place in the order {match[1]}, and this list has the order {sort}")
    try:
        return Place(int(match[2]), parse_session_id(match[3]))
    except InvalidInput:
        raise _bad_cursor(cursor, "is no place in this list") from None


def _bad_cursor(found: str, why: str) -> InvalidInput:
    return InvalidInput(
        "bad_cursor",
        f"cursor {why}: take it from the next of an earlier page, or leave it out for the first",
        field="cursor",
        found=repr(found[:80]),
        expected="the next of an earlier page",
    )


def summary(session: Session, now: int) -> SessionSummary:
    """The session in a line; ``now`` is in microseconds since the epoch, for how long something has lasted."""
    until = session.updated_at if session.ended_at is None else session.ended_at
    return SessionSummary(
        id=session.id,
        product=session.product,
        version=session.version,
        environment=session.environment,
        hostname=session.hostname,
        pid=session.pid,
        tags=session.tags,
        created_at=rfc3339(session.created_at),
        updated_at=rfc3339(session.updated_at),
        ended_at=_moment(session.ended_at),
        duration=max(0, until - session.created_at) / 1_000_000,
        active=session.active,
        status=session.status.value,
        cause=session.cause,
        verdict=sentence(session, now),
        hung_at_end=session.hung_at_end,
        hangs=session.hangs,
        hang_seconds=session.hang_seconds,
        events=session.events,
        metrics=session.metrics,
        lost=session.lost,
        last_event=session.last_event,
        last_event_at=_moment(session.last_event_at),
        last_heartbeat_at=_moment(session.last_heartbeat_at),
    )


def _moment(microseconds: int | None) -> str | None:
    return None if microseconds is None else rfc3339(microseconds)
