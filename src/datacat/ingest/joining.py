"""Which batches of a group are folded as one: pure.

Most posts bring one event or one metric, and a busy session has many of them in a group. Folding
each alone would make a session of it each time, and only the last of these is kept.

What must hold: each batch's outcome, and the session and its rows, are what folding one after the
other gives. So only such batches are joined in which nothing can be refused and from which nothing
follows but rows and counts: the plain calls' events, metrics and heartbeats, but for the events that
move a session; and only such as may be of the same products. They are numbered by the server, so strung together they are numbered the same.
"""

from collections.abc import Iterator, Sequence

from datacat.model.fold import MOVING_EVENTS
from datacat.model.records import Answer, Batch, Event, Heartbeat, Metric, Origin


def runs(batches: Sequence[Batch]) -> Iterator[Sequence[Batch]]:
    """Batches of one session as runs, in order, that may each be joined."""
    if len(batches) == 1:
        yield batches
        return
    first = 0
    for place, batch in enumerate(batches):
        if batch.product != batches[first].product:
            yield batches[first:place]
            first = place
        if not _only_adds(batch):
            if first < place:
                yield batches[first:place]
            yield batches[place : place + 1]
            first = place + 1
    if first < len(batches):
        yield batches[first:]


def join(run: Sequence[Batch]) -> Batch:
    """The batches of a run as one."""
    if len(run) == 1:
        return run[0]
    first = run[0]
    records = [record for batch in run for record in batch.records]
    return Batch(first.session_id, first.origin, records, first.product)


def answers(run: Sequence[Batch], joined: Answer) -> list[Answer]:
    """What each batch of a run is answered, from what they are answered as one."""
    if len(run) == 1:
        return [joined]
    last_seq = joined.last_seq - joined.accepted
    each = []
    for batch in run:
        accepted = len(batch.records)
        last_seq += accepted
        each.append(Answer(accepted, 0, last_seq))
    return each


def _only_adds(batch: Batch) -> bool:
    if batch.origin is not Origin.API:
        return False
    for record in batch.records:
        kind = type(record)
        if kind is Event:
            if record.name in MOVING_EVENTS:  # type: ignore[union-attr]  # the exact type was just asked
                return False
        elif kind is not Metric and kind is not Heartbeat:
            return False
    return True
