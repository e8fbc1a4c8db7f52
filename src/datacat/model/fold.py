"""The heart: ``(session, batch) -> (session', rows)``, pure.

What must hold, and is decided here and nowhere else:

- **Exactly once, in order.** The records of one origin are a log without gaps. A record whose
  number is already known is a duplicate and changes nothing; a batch that begins beyond the next
  number is refused whole. So a client may send again whatever it is unsure of.
- **One bad record never blocks those behind it.** It is rejected, its number is used up, and it
  is counted as lost, so the session knows exactly what it lacks.
- **Status follows from the records**, by the table in :mod:`datacat.model.lifecycle`. What several
  watchers saw of one hang or one death adds up in :mod:`datacat.model.verdict`.
- **Contact is any byte from the program's side**, an empty batch too. What the server itself says
  is none, and its word that contact is lost counts only while that is still so.
- **Every change of state is kept**, with the whole state every :data:`CHECKPOINT_EVERY` changes,
  so that the state at any moment can be answered without replaying a long run.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from datacat.model import limits
from datacat.model.errors import InvalidInput, KeyForbids, SequenceGap, UnknownSession
from datacat.model.lifecycle import CONTACT_LOST, HANG_EVENTS, RECOVERY_EVENTS, STOP_EVENTS
from datacat.model.problems import Problem
from datacat.model.records import (
    Answer,
    Batch,
    End,
    Event,
    Exit,
    Heartbeat,
    Loss,
    Metric,
    Origin,
    Record,
    Rejected,
    Start,
    State,
)
from datacat.model.session import Change, Session
from datacat.model.state import JsonObject, merge, remove
from datacat.model.verdict import Verdict

CHECKPOINT_EVERY: Final = 64

_MOVING_EVENTS: Final = HANG_EVENTS | RECOVERY_EVENTS | STOP_EVENTS | {CONTACT_LOST}
"""More follows from these than a row."""

_encode = msgspec.json.Encoder().encode


class Folded(Struct, frozen=True):
    """The session after a batch, the rows to add, and what to answer.

    The rows' numbers go on from the counts of the session before the batch: ``events[0]`` is event
    number ``session.events - len(events)``, and the same for the others. ``before`` is the session
    before the batch, None where the batch began it.
    """

    before: Session | None
    session: Session
    events: list[Event]
    metrics: list[Metric]
    changes: list[Change]
    problems: list[Problem]
    answer: Answer


def fold(session: Session | None, batch: Batch, received: int) -> Folded:
    """What ``batch`` makes of ``session``.

    Args:
        session: None when the store has none of this id; then the batch must begin with a start.
        batch: one origin's records, numbered without a gap (origin ``api``: not numbered).
        received: the server's clock, in microseconds since the epoch.

    Raises:
        UnknownSession: there is no session, and the batch does not begin with a start record.
        SequenceGap: the batch begins beyond the next number.
        KeyForbids: the session is of another product than the batch may be for.
    """
    if batch.product is not None and session is not None and session.product != batch.product:
        raise KeyForbids.of_product(session.product, batch.product)
    last_seq = session.last_seq.get(batch.origin, 0) if session else 0
    first_seq = _first_seq(batch.records[0]) if batch.records else last_seq
    if batch.origin is not Origin.API and first_seq > last_seq + 1:
        raise SequenceGap(last_seq=last_seq, first_seq=first_seq)
    before = session
    if session is None:
        start = batch.records[0] if batch.records else None
        if not isinstance(start, Start):
            raise UnknownSession(batch.session_id)
        session = Session(id=batch.session_id, created_at=start.time, updated_at=received)
    return _Folding(before, session, batch, last_seq, received).run()


def _first_seq(record: Record | Rejected) -> int:
    return record.first if type(record) is Loss else record.seq


class _Folding:
    """One batch's way through: the session's moving parts, until they are one session again."""

    def __init__(
        self, known: Session | None, session: Session, batch: Batch, last_seq: int, received: int
    ) -> None:
        self.known = known
        self.before = session
        self.batch = batch
        self.last_seq = last_seq
        self.verdict = Verdict(session, batch.origin, received)
        self.changed: dict[str, Any] = {}
        self.state = session.state
        self.state_bytes = session.state_bytes
        self.lost = session.lost
        self.events: list[Event] = []
        self.metrics: list[Metric] = []
        self.changes: list[Change] = []
        self.rejected: list[Rejected] = []

    def run(self) -> Folded:
        duplicates = self._take_all()
        before, records = self.before, self.batch.records
        if self.batch.origin is not Origin.SERVER:
            self.verdict.contact()
        if self.events:
            self.changed["last_event"] = self.events[-1].name
            self.changed["last_event_at"] = self.events[-1].time
        concluded, problems = self.verdict.conclude()
        session = msgspec.structs.replace(
            before,
            state=self.state,
            state_bytes=self.state_bytes,
            lost=self.lost,
            events=before.events + len(self.events),
            metrics=before.metrics + len(self.metrics),
            changes=before.changes + len(self.changes),
            last_seq={**before.last_seq, self.batch.origin: self.last_seq},
            **self.changed,
            **concluded,
        )
        answer = Answer(
            accepted=len(records) - duplicates - len(self.rejected),
            duplicates=duplicates,
            last_seq=self.last_seq,
            rejected=self.rejected,
        )
        return Folded(self.known, session, self.events, self.metrics, self.changes, problems, answer)

    def _take_all(self) -> int:
        duplicates = 0
        numbered = self.batch.origin is not Origin.API
        seq = self.last_seq
        add_event, add_metric = self.events.append, self.metrics.append
        for record in self.batch.records:
            if numbered:
                if record.seq <= seq:
                    duplicates += 1
                    continue
                previous, seq = seq, record.seq
            else:
                previous, seq = seq, seq + 1
            kind = type(record)
            if kind is Metric:
                add_metric(record)  # type: ignore[arg-type]  # the exact type was just asked
            elif kind is Event:
                if record.name not in _MOVING_EVENTS or self._watched(record):  # type: ignore[union-attr,arg-type]  # as above
                    add_event(record)  # type: ignore[arg-type]  # as above
            else:
                self._take_rare(record, previous, seq)
        self.last_seq = seq
        return duplicates

    def _take_rare(self, record: Record | Rejected, previous: int, seq: int) -> None:
        match record:
            case State():
                self._change_state(record, seq)
            case Heartbeat():
                self.changed["last_heartbeat_at"] = record.time
            case Start():
                self._fill_in(record)
                self.verdict.start(record)
            case Loss():
                # What is known already was not lost after all: a retry may cover it again.
                self.lost += record.seq - max(record.first - 1, previous)
            case End():
                self.verdict.end(record)
            case Exit():
                self.verdict.exit(record)
            case Rejected():
                self._reject(record)

    def _reject(self, rejected: Rejected) -> None:
        self.rejected.append(rejected)
        # A plain call's sender is told at once, and has lost nothing.
        if self.batch.origin is not Origin.API:
            self.lost += 1

    def _watched(self, event: Event) -> bool:
        """Whether ``event`` is to be kept: the server's word is not, once time has overtaken it."""
        if event.name == CONTACT_LOST:
            return self.batch.origin is not Origin.SERVER or self.verdict.silence()
        if event.name in STOP_EVENTS:
            self.verdict.stop(event)
        elif event.name in HANG_EVENTS:
            self.verdict.hang(event)
        else:
            self.verdict.recovery(event)
        return True

    def _fill_in(self, start: Start) -> None:
        for field in (
            "product",
            "version",
            "environment",
            "hostname",
            "machine_id",
            "pid",
            "parent_session_id",
            "contact_timeout",
        ):
            if getattr(self.before, field) is None and (value := getattr(start, field)) is not None:
                self.changed[field] = value
        if not self.before.tags and start.tags:
            self.changed["tags"] = tuple(start.tags)

    def _change_state(self, record: State, seq: int) -> None:
        try:
            state = self.state
            for pointer in record.remove:
                state = remove(state, pointer)
            state = merge(state, record.merge)
            self.state_bytes = _checked_size(state, self.state_bytes, record.merge)
        except InvalidInput as error:
            self._reject(Rejected(seq, error.code, error.detail))
            return
        self.state = state
        number = self.before.changes + len(self.changes) + 1
        checkpoint = state if number % CHECKPOINT_EVERY == 0 else None
        self.changes.append(Change(record.time, record.merge, record.remove, checkpoint))


def _checked_size(state: JsonObject, before: int, change: JsonObject) -> int:
    """The size of ``state``, or a bound above it: only a state near the limit is measured.

    A merge adds at most the change's own bytes and a comma, so most changes need no second look at
    a state that may be a thousand times their size.
    """
    bound = before + len(_encode(change)) + 1
    if bound <= limits.MAX_STATE_BYTES:
        return bound
    exact = len(_encode(state))
    if exact > limits.MAX_STATE_BYTES:
        raise InvalidInput(
            "state_too_large",
            f"the state would be {exact} bytes of JSON; remove what is no longer needed, or log it as events",
            found=f"{exact} bytes",
            expected=f"at most {limits.MAX_STATE_BYTES} bytes",
        )
    return exact
