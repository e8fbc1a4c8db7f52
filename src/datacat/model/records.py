"""The record: the one unit that travels, and the only thing that changes a session.

A record of a kind is a struct here; :data:`Record` is their union, told apart by ``type``.
``seq`` 0 means "not numbered yet": the client's buffer numbers its records as they go in, and
the fold numbers those of origin ``api``.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct

from datacat.model import limits

Name = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME_LENGTH)]
Label = Annotated[str, Meta(max_length=limits.MAX_NAME_LENGTH)]
Tags = Annotated[list[Label], Meta(max_length=limits.MAX_TAGS)]
Message = Annotated[str, Meta(max_length=limits.MAX_MESSAGE_LENGTH)]
Pointers = Annotated[list[str], Meta(max_length=limits.MAX_REMOVALS)]
Seq = Annotated[int, Meta(ge=0, le=limits.MAX_SEQ)]
Count = Annotated[int, Meta(ge=0, le=limits.MAX_SEQ)]
Time = Annotated[int, Meta(ge=0, le=limits.MAX_TIME)]

Level = Literal["debug", "info", "warning", "error", "fatal"]
"""How serious an event is, in Sentry's five words."""

Kind = Literal["gauge", "counter", "histogram", "timer"]
"""What a metric's value is: a level now, an increment, a sample, or seconds taken."""

EMPTY = Raw(b"")


class Origin(StrEnum):
    """Who wrote a record of a session; each origin's records are numbered on their own."""

    APP = "app"
    WATCHDOG = "watchdog"
    PARENT = "parent"
    API = "api"
    SERVER = "server"


class Base(Struct, tag_field="type", kw_only=True, omit_defaults=True, gc=False):
    """What every record has: its number, and its writer's clock in microseconds since the epoch."""

    seq: Seq = 0
    time: Time


class Start(Base, tag="start", kw_only=True, omit_defaults=True):
    """A session begins; repeated, it fills in what was not known.

    ``contact_timeout`` is a promise: more than so many seconds without a byte of this session, and
    it is lost. None promises nothing.
    """

    product: Label | None = None
    version: Label | None = None
    environment: Label | None = None
    hostname: Label | None = None
    machine_id: Label | None = None
    pid: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    tags: Tags = []
    parent_session_id: Label | None = None
    contact_timeout: Annotated[float, Meta(gt=0, le=limits.MAX_CONTACT_TIMEOUT)] | None = None


class State(Base, tag="state", kw_only=True, omit_defaults=True):
    """A change of state: what ``remove`` points at goes first, then ``merge`` is merged in."""

    merge: dict[str, Any] = {}
    remove: Pointers = []


class Event(Base, tag="event", kw_only=True, omit_defaults=True, gc=False):
    """A named moment; ``data`` is a JSON object, kept as it came."""

    name: Name
    level: Level = "info"
    message: Message | None = None
    data: Raw = EMPTY


class Metric(Base, tag="metric", kw_only=True, omit_defaults=True, gc=False):
    """A named, finite number; ``unit`` as UCUM writes it (``s``, ``By``, ``1``)."""

    name: Name
    value: float
    kind: Kind = "gauge"
    unit: Label | None = None
    tags: Tags = []


class Heartbeat(Base, tag="heartbeat", kw_only=True, omit_defaults=True, gc=False):
    """The program's own word that its main loop is alive."""


class Loss(Base, tag="loss", kw_only=True, omit_defaults=True):
    """Records ``first`` to ``seq`` never arrive: what the client had to drop, said by itself."""

    first: Annotated[int, Meta(ge=1, le=limits.MAX_SEQ)]
    reason: Label = ""
    counts: dict[Label, Count] = {}


class Exit(Base, tag="exit", kw_only=True, omit_defaults=True):
    """How the process went.

    ``cause`` is one of the words in :mod:`datacat.model.causes`; what is known beside it stands in ``data``:
    ``exit_code``, ``signal``, ``signal_name``, ``core_dumped``, ``type``, ``message``, ``traceback``,
    ``thread``, ``dump``, ``stderr``, ``resource_usage``.
    """

    cause: Name
    message: Message | None = None
    data: Raw = EMPTY


class End(Base, tag="end", kw_only=True, omit_defaults=True, gc=False):
    """The program said goodbye."""


Record = Start | State | Event | Metric | Heartbeat | Loss | Exit | End


class Rejected(Struct, frozen=True, gc=False):
    """A record that could not be taken; its number is used up all the same."""

    seq: int
    code: str
    message: str


class Batch(Struct, frozen=True):
    """What one request brings: one origin's records for one session, in order.

    ``product``: the session must be of it, as whoever sends it may record no other; None for any.
    """

    session_id: str
    origin: Origin
    records: list[Record | Rejected]
    product: str | None = None


class Answer(Struct, frozen=True):
    """What became of a batch.

    ``accepted + duplicates + len(rejected)`` is the number of records in the batch; ``last_seq`` is
    the highest number of this origin that the server now has.
    """

    accepted: int
    duplicates: int
    last_seq: int
    rejected: list[Rejected] = []
