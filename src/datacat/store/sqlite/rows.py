"""Sessions as rows of the ``session`` table and back: the one place that knows its columns."""

from typing import Any, Final

import apsw
import msgspec

from datacat.model.hangs import Hang
from datacat.model.lifecycle import Status
from datacat.model.records import Origin
from datacat.model.session import Session
from datacat.model.state import JsonObject, merge, remove
from datacat.model.stops import Stop

Row = tuple[Any, ...]

COLUMNS: Final = (
    "id",
    "created_at",
    "updated_at",
    "ended_at",
    "status",
    "cause",
    "hung_at_end",
    "product",
    "version",
    "environment",
    "hostname",
    "machine_id",
    "pid",
    "tags",
    "parent_session_id",
    "contact_timeout",
    "state_bytes",
    "events",
    "metrics",
    "changes",
    "lost",
    "last_event",
    "last_event_at",
    "last_heartbeat_at",
    "last_seq",
    "exit",
    "said_goodbye",
    "ended_by",
    "hangs",
    "hang_seconds",
    "first_hang_at",
    "recent_hangs",
    "times_lost",
    "silent_since",
    "stopped",
)
"""The first two never change."""

BUSY_COLUMNS: Final = (
    "updated_at",
    "state_bytes",
    "events",
    "metrics",
    "changes",
    "last_event",
    "last_event_at",
    "last_heartbeat_at",
    "last_seq",
)
"""What nearly every commit changes; and no index but one is on any of these."""

LEVELS: Final = ("debug", "info", "warning", "error", "fatal")
"""A level is stored as its place here; only ever add at the end."""

_encode: Final = msgspec.json.Encoder().encode
_texts: Final = msgspec.json.Decoder(tuple[str, ...])
_hangs: Final = msgspec.json.Decoder(tuple[Hang, ...])
_stop: Final = msgspec.json.Decoder(Stop)
_seqs: Final = msgspec.json.Decoder(dict[Origin, int])


def json_text(value: Any) -> str:
    """Compact JSON."""
    return _encode(value).decode()


def one_integer(database: apsw.Connection, sql: str, values: Row) -> int | None:
    """The one number that is answered; None when there is no row.

    The statement is asked to its end: one that stands in the middle would keep a commit from being made.
    """
    number: int | None = database.execute(sql, values).get
    return number


def id_bytes(session_id: str) -> bytes:
    """The 16 bytes that a session is found by."""
    return bytes.fromhex(session_id.replace("-", ""))


def with_hyphens(digits: str) -> str:
    """An id as it is written, from its 32 hexadecimal digits."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def row_of(session: Session) -> Row:
    """The values of :data:`COLUMNS`."""
    return (
        id_bytes(session.id),
        session.created_at,
        session.updated_at,
        session.ended_at,
        session.status.value,
        session.cause,
        int(session.hung_at_end),
        session.product,
        session.version,
        session.environment,
        session.hostname,
        session.machine_id,
        session.pid,
        json_text(session.tags),
        session.parent_session_id,
        session.contact_timeout,
        session.state_bytes,
        session.events,
        session.metrics,
        session.changes,
        session.lost,
        session.last_event,
        session.last_event_at,
        session.last_heartbeat_at,
        json_text(session.last_seq),
        None if session.exit is None else json_text(session.exit),
        int(session.said_goodbye),
        session.ended_by,
        session.hangs,
        session.hang_seconds,
        session.first_hang_at,
        json_text(session.recent_hangs) if session.recent_hangs else "[]",
        session.times_lost,
        session.silent_since,
        None if session.stopped is None else json_text(session.stopped),
    )


def busy_row_of(session: Session) -> Row:
    """The values of :data:`BUSY_COLUMNS`."""
    return (
        session.updated_at,
        session.state_bytes,
        session.events,
        session.metrics,
        session.changes,
        session.last_event,
        session.last_event_at,
        session.last_heartbeat_at,
        json_text(session.last_seq),
    )


def session_of(row: Row, state: JsonObject) -> Session:
    """The session of a row with :data:`COLUMNS`, and its state."""
    values = dict(zip(COLUMNS, row, strict=True))
    values |= {
        "id": with_hyphens(values["id"].hex()),
        "status": Status(values["status"]),
        "hung_at_end": bool(values["hung_at_end"]),
        "tags": _texts.decode(values["tags"]),
        "last_seq": _seqs.decode(values["last_seq"]),
        "exit": None if values["exit"] is None else msgspec.json.decode(values["exit"]),
        "said_goodbye": bool(values["said_goodbye"]),
        "ended_by": None if values["ended_by"] is None else Origin(values["ended_by"]),
        "stopped": None if values["stopped"] is None else _stop.decode(values["stopped"]),
        "recent_hangs": _hangs.decode(values["recent_hangs"]),
    }
    return Session(state=state, **values)


STATE_SQL: Final = """
    SELECT merge, remove, checkpoint FROM change
    WHERE session = ?1 AND n >= coalesce(
        (SELECT max(n) FROM change WHERE session = ?1 AND checkpoint IS NOT NULL), 0)
    ORDER BY n
"""
"""The last checkpoint and the changes after it."""

STATE_AT_SQL: Final = """
    SELECT merge, remove, checkpoint FROM change
    WHERE session = ?1 AND n <= ?2 AND n >= coalesce(
        (SELECT max(n) FROM change WHERE session = ?1 AND n <= ?2 AND checkpoint IS NOT NULL), 0)
    ORDER BY n
"""
"""The same, up to the change numbered ?2."""


def state_of(changes: list[Row]) -> JsonObject:
    """The state that the rows of :data:`STATE_SQL` or :data:`STATE_AT_SQL` add up to."""
    state: JsonObject = {}
    for merged, removed, checkpoint in changes:
        if checkpoint is not None:
            state = msgspec.json.decode(checkpoint)
            continue
        for pointer in msgspec.json.decode(removed) if removed else ():
            state = remove(state, pointer)
        state = merge(state, msgspec.json.decode(merged))
    return state
