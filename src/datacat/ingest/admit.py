"""The door: a request's bytes become a batch, or an error that says what to mend.

Whatever the road a request came by, it is admitted here and only here: decoded, held against the
limits, given the server's time where it brought none.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

from msgspec import Meta, Raw, Struct, field, json, structs

from datacat.model.errors import InvalidInput, KeyForbids
from datacat.model.ids import new_session_id, parse_session_id
from datacat.model.limits import MAX_CONTACT_TIMEOUT
from datacat.model.records import (
    Batch,
    End,
    Event,
    Heartbeat,
    Kind,
    Label,
    Level,
    Message,
    Metric,
    Name,
    Origin,
    Record,
    Rejected,
    Start,
    State,
    Tags,
)
from datacat.model.state import split_merge_patch
from datacat.wire import codec, ndjson
from datacat.wire.timestamps import parse_timestamp

MERGE_PATCH = "application/merge-patch+json"


class CreateBody(Struct):
    """``POST /api/sessions``: what is known of the program; all of it may be left out."""

    id: str | None = None
    product: Label | None = None
    version: Label | None = None
    environment: Label | None = None
    hostname: Label | None = None
    machine_id: Label | None = None
    pid: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    tags: Tags | None = None
    parent_session_id: Label | None = None
    contact_timeout: Annotated[float, Meta(gt=0, le=MAX_CONTACT_TIMEOUT)] | None = None


class EventBody(Struct):
    """``POST /api/sessions/{id}/events``; ``data`` is a JSON object."""

    name: Name
    data: Raw = field(default_factory=Raw)
    level: Level | None = None
    message: Message | None = None
    timestamp: str | int | None = None


class MetricBody(Struct):
    """``POST /api/sessions/{id}/metrics``."""

    name: Name
    value: float
    tags: Tags | None = None
    kind: Kind | None = None
    unit: Label | None = None
    timestamp: str | int | None = None


Single = Literal["events", "metrics", "heartbeat"]
"""The plain calls that bring one record, which cannot be refused by what the session is."""

Asked = TypeVar("Asked", EventBody, MetricBody)

_event_decoder: Final = json.Decoder(EventBody)
_metric_decoder: Final = json.Decoder(MetricBody)


def create(body: bytes, now: int) -> Batch:
    """A session's start; an empty body is a session of which nothing is known."""
    asked = codec.decode(body, CreateBody) if body.strip() else CreateBody()
    session_id = parse_session_id(asked.id) if asked.id is not None else new_session_id()
    start = Start(
        time=now,
        product=asked.product,
        version=asked.version,
        environment=asked.environment,
        hostname=asked.hostname,
        machine_id=asked.machine_id,
        pid=asked.pid,
        tags=asked.tags or [],
        parent_session_id=asked.parent_session_id,
        contact_timeout=asked.contact_timeout,
    )
    return plain(session_id, start)


def state(session_id: str, body: bytes, content_type: str, now: int) -> Batch:
    """A change of state: a deep merge, or by its content type an RFC 7396 merge patch."""
    change: dict[str, Any] = codec.decode_object(body)
    if content_type.partition(";")[0].strip().lower() == MERGE_PATCH:
        kept, removed = split_merge_patch(change)
        return plain(session_id, State(time=now, merge=kept, remove=removed))
    return plain(session_id, State(time=now, merge=change))


def event(session_id: str, body: bytes, now: int) -> Batch:
    """One event."""
    return plain(session_id, _event(codec.decode(body, EventBody), now))


def metric(session_id: str, body: bytes, now: int) -> Batch:
    """One metric."""
    return plain(session_id, _metric(codec.decode(body, MetricBody), now))


def heartbeat(session_id: str, now: int) -> Batch:
    """The program's main loop is alive."""
    return plain(session_id, Heartbeat(time=now))


def together(action: Single, bodies: Sequence[bytes], times: Sequence[int]) -> list[Record | InvalidInput]:
    """What plain calls of one kind bring that arrive together: each body's record, or what is wrong with it."""
    if action == "heartbeat":
        return [Heartbeat(time=time) for time in times]
    if action == "events":
        events = codec.decode_all(bodies, _event_decoder)
        return _each(events, _event, times)
    metrics = codec.decode_all(bodies, _metric_decoder)
    return _each(metrics, _metric, times)


def end(session_id: str, now: int) -> Batch:
    """The program says goodbye."""
    return plain(session_id, End(time=now))


def records(session_id: str, origin: str, body: bytes) -> Batch:
    """An exactly-once batch of NDJSON."""
    try:
        written_by = Origin(origin)
    except ValueError:
        written_by = None
    if written_by is None or written_by is Origin.API:
        raise InvalidInput(
            "unknown_origin",
            "Datacat-Origin says who wrote the records: app (the default), watchdog, parent or server",
            field="Datacat-Origin",
            found=origin[:40],
            expected="app, watchdog, parent or server",
        )
    return Batch(session_id, written_by, ndjson.decode_batch(body))


def confined(batch: Batch, product: str) -> Batch:
    """The batch of somebody who may record this product alone: a session that it begins is of it.

    Raises:
        KeyForbids: it is to be of another.
    """
    records: list[Record | Rejected] = []
    for record in batch.records:
        if type(record) is Start:
            if record.product not in (None, product):
                raise KeyForbids.of_product(record.product, product)
            records.append(structs.replace(record, product=product))
        else:
            records.append(record)
    return Batch(batch.session_id, batch.origin, records, product)


def plain(session_id: str, *records: Record) -> Batch:
    """What plain calls bring; it is not numbered by whoever sends it."""
    return Batch(session_id, Origin.API, [*records])


def _event(asked: EventBody, now: int) -> Event:
    return Event(
        time=_time(asked.timestamp, now),
        name=asked.name,
        level=asked.level or "info",
        message=asked.message,
        data=codec.check_data(asked.data),
    )


def _metric(asked: MetricBody, now: int) -> Metric:
    return Metric(
        time=_time(asked.timestamp, now),
        name=asked.name,
        value=asked.value,
        kind=asked.kind or "gauge",
        unit=asked.unit,
        tags=asked.tags or [],
    )


def _each(
    asked: Sequence[Asked | InvalidInput], made: Callable[[Asked, int], Record], times: Sequence[int]
) -> list[Record | InvalidInput]:
    records: list[Record | InvalidInput] = []
    for one, time in zip(asked, times, strict=True):
        try:
            records.append(one if isinstance(one, InvalidInput) else made(one, time))
        except InvalidInput as error:
            records.append(error)
    return records


def _time(asked: str | int | None, now: int) -> int:
    return now if asked is None else parse_timestamp(asked)
