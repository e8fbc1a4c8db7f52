"""What a session is: everything the server knows of one run, but for its long lists."""

from typing import Any

from msgspec import Struct

from datacat.model.hangs import Hang
from datacat.model.lifecycle import RUNNING, Status
from datacat.model.records import Origin
from datacat.model.stops import Stop


class Session(Struct, frozen=True, kw_only=True):
    """One run of one program.

    Times are microseconds since the Unix epoch, UTC. ``created_at`` and ``ended_at`` are read from
    the program's clock, ``updated_at`` from the server's: it is when the server last heard of it.
    ``events``, ``metrics`` and ``changes`` count the rows; the n-th event has number n - 1.

    ``cause`` is the verdict; ``exit`` holds what the watchers said, each in its own words.
    ``said_goodbye`` is true after an end record, ``ended_by`` who was the first to tell the end.
    ``stopped`` is set while the process stands still, and where it ended so.
    ``recent_hangs`` are those that last and a few that do not; ``silent_since`` is when a lost
    session was last heard of, on the server's clock.
    """

    id: str
    created_at: int
    updated_at: int
    ended_at: int | None = None
    status: Status = Status.ACTIVE
    cause: str | None = None
    exit: dict[str, Any] | None = None
    said_goodbye: bool = False
    ended_by: Origin | None = None
    hung_at_end: bool = False
    hangs: int = 0
    hang_seconds: float = 0.0
    first_hang_at: int | None = None
    recent_hangs: tuple[Hang, ...] = ()
    stopped: Stop | None = None
    contact_timeout: float | None = None
    times_lost: int = 0
    silent_since: int | None = None
    product: str | None = None
    version: str | None = None
    environment: str | None = None
    hostname: str | None = None
    machine_id: str | None = None
    pid: int | None = None
    tags: tuple[str, ...] = ()
    parent_session_id: str | None = None
    state: dict[str, Any] = {}
    state_bytes: int = 2
    events: int = 0
    metrics: int = 0
    changes: int = 0
    lost: int = 0
    last_event: str | None = None
    last_event_at: int | None = None
    last_heartbeat_at: int | None = None
    last_seq: dict[Origin, int] = {}

    @property
    def active(self) -> bool:
        """Whether the program is running, as far as is known: active or hung."""
        return self.status in RUNNING


class Change(Struct, frozen=True, gc=False):
    """One change of state; ``checkpoint`` is the whole state after it, kept every so often."""

    time: int
    merge: dict[str, Any]
    remove: list[str]
    checkpoint: dict[str, Any] | None
