"""One session as JSON, in pieces: a million events never stand in memory together.

A session's rows are only ever added to, and its row counts are read with it: reading exactly that
many rows, a page at a time, gives the session as it was at that moment, and holds no transaction
open while a slow reader reads.
"""

import string
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

from msgspec import Raw, Struct

from datacat.model.errors import UnknownSession, ambiguous_id
from datacat.model.ids import DIGITS, parse_session_id
from datacat.model.lifecycle import Status
from datacat.model.session import Session
from datacat.query.problems import HangView, hangs_of
from datacat.store.asked import Scope
from datacat.store.found import EventRow, MetricRow
from datacat.store.port import Reader
from datacat.wire.codec import encode
from datacat.wire.timestamps import rfc3339

PAGE: Final = 1_000
_PIECE: Final = 64 * 1024

_FEWEST_DIGITS: Final = 4


class EventView(Struct, gc=False):
    """An event as it is answered."""

    timestamp: str
    name: str
    level: str
    message: str | None
    data: Raw


class MetricView(Struct, gc=False):
    """A metric as it is answered."""

    timestamp: str
    name: str
    kind: str
    value: float
    unit: str | None
    tags: Raw


class SessionHead(Struct, kw_only=True):
    """A session without its events and metrics.

    ``lost`` counts the records that were recorded but never arrived; ``cause`` says how it ended,
    ``exit`` what was seen of that: the cause in the watchers' own words, ``exit_code``, ``signal``,
    ``traceback`` and their like. ``time_to_first_hang`` and ``contact_timeout`` are seconds.
    """

    id: str
    created_at: str
    updated_at: str
    ended_at: str | None
    active: bool
    status: str
    cause: str | None
    exit: dict[str, Any] | None
    hung_at_end: bool
    hangs: list[HangView]
    time_to_first_hang: float | None
    product: str | None
    version: str | None
    environment: str | None
    hostname: str | None
    machine_id: str | None
    pid: int | None
    tags: tuple[str, ...]
    parent_session_id: str | None
    contact_timeout: float | None
    last_heartbeat_at: str | None
    lost: int
    state: dict[str, Any]


def head(session: Session, hangs: list[HangView]) -> SessionHead:
    """What is answered of a session before its lists."""
    return SessionHead(
        id=session.id,
        created_at=rfc3339(session.created_at),
        updated_at=rfc3339(session.updated_at),
        ended_at=_moment(session.ended_at),
        active=session.active,
        status=session.status.value,
        cause=session.cause,
        exit=session.exit,
        hung_at_end=session.hung_at_end,
        hangs=hangs,
        time_to_first_hang=None
        if session.first_hang_at is None
        else max(0, session.first_hang_at - session.created_at) / 1_000_000,
        product=session.product,
        version=session.version,
        environment=session.environment,
        hostname=session.hostname,
        machine_id=session.machine_id,
        pid=session.pid,
        tags=session.tags,
        parent_session_id=session.parent_session_id,
        contact_timeout=session.contact_timeout,
        last_heartbeat_at=_moment(session.last_heartbeat_at),
        lost=session.lost,
        state=session.state,
    )


def find_id(reader: Reader, text: str) -> str:
    """The id that is written whole, whether or not there is such a session, or that begins so where no other does.

    Raises:
        UnknownSession: none begins so.
        InvalidInput: code ``ambiguous_id`` when several do.
    """
    digits = text.replace("-", "").lower()
    if not set(digits) <= set(string.hexdigits) or not _FEWEST_DIGITS <= len(digits) <= DIGITS:
        raise UnknownSession(text[:80])
    if len(digits) == DIGITS:
        return parse_session_id(digits)
    ids = [each.id for each in reader.ids_with_prefix(digits, 2)]
    if len(ids) > 1:
        raise ambiguous_id(text, f"several sessions begin with {text}, {ids[0]} and {ids[1]} among them")
    if not ids:
        raise UnknownSession(text[:80])
    return ids[0]


def find(reader: Reader, text: str) -> Session:
    """The session of such an id; raises what :func:`find_id` does, and UnknownSession where there is none."""
    session_id = find_id(reader, text)
    session = reader.session(session_id)
    if session is None:
        raise UnknownSession(session_id)
    return session


class Lists(Struct, frozen=True):
    """How much of a session's long lists is wanted; ``last`` is how many of each at most, None for all."""

    events: bool = True
    metrics: bool = True
    last: int | None = None


def whole(reader: Reader, session: Session, lists: Lists, *, stacks: bool = True) -> Iterator[bytes]:
    """The session's JSON object, in pieces; ``stacks`` says whether those of its hangs are in it."""
    hangs = hangs_of(reader, session.id, evidence=stacks) if session.hangs else []
    yield encode(head(session, hangs))[:-1]
    if lists.events:
        yield b',"events":['
        yield from _pages(reader.events, session.id, session.events, lists.last, event_view)
        yield b"]"
    if lists.metrics:
        yield b',"metrics":['
        yield from _pages(reader.metrics, session.id, session.metrics, lists.last, _metric_view)
        yield b"]"
    yield b"}"


def every(reader: Reader, lists: Lists, wanted: Callable[[Session], bool]) -> Iterator[bytes]:
    """Every session that is wanted, as one JSON array, in pieces."""
    return _array(reader, lists, (each for each in _all(reader) if wanted(each)))


def newest(
    reader: Reader, lists: Lists, scope: Scope, statuses: frozenset[Status], limit: int
) -> Iterator[bytes]:
    """The same of the sessions that began last, the last of them last."""
    ids = [session.id for session in reader.newest_sessions(scope, statuses, limit)]
    found = (reader.session(session_id) for session_id in reversed(ids))
    return _array(reader, lists, (session for session in found if session is not None))


def _all(reader: Reader) -> Iterator[Session]:
    after: str | None = None
    while sessions := reader.sessions(after, PAGE):
        yield from sessions
        after = sessions[-1].id


def _array(reader: Reader, lists: Lists, sessions: Iterator[Session]) -> Iterator[bytes]:
    separator = b"["
    for session in sessions:
        yield separator
        yield from whole(reader, session, lists, stacks=False)
        separator = b","
    yield b"[]" if separator == b"[" else b"]"


def gathered(pieces: Iterator[bytes], size: int = _PIECE) -> Generator[bytes, None, None]:
    """The same bytes in pieces of ``size``: each sent costs a turn of the event loop, and none weighs much in its hands."""
    held = bytearray()
    for piece in pieces:
        held += piece
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    yield bytes(held)


def _pages(
    read: Callable[[str, int, int], list[Any]],
    session_id: str,
    count: int,
    last: int | None,
    view: Callable[[Any], Struct],
) -> Iterator[bytes]:
    begin = first = 0 if last is None else max(0, count - last)
    while first < count:
        rows = read(session_id, first, min(PAGE, count - first))
        yield (b"," if first > begin else b"") + encode([view(row) for row in rows])[1:-1]
        first += len(rows)


def event_view(row: EventRow) -> EventView:
    """An event's row as it is answered."""
    return EventView(rfc3339(row.time), row.name, row.level, row.message, row.data)


def _metric_view(row: MetricRow) -> MetricView:
    return MetricView(rfc3339(row.time), row.name, row.kind, row.value, row.unit, row.tags)


def _moment(microseconds: int | None) -> str | None:
    return None if microseconds is None else rfc3339(microseconds)
