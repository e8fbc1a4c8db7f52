"""Batches of records as NDJSON.

What must hold: nothing unsound passes, and one bad record never takes its neighbours with it. Nearly
every batch is sound, so all of it is looked at in one step first; where anything is in doubt, each
line is looked at alone.
"""

from typing import Final

import msgspec
from msgspec import Raw

from datacat.model import limits
from datacat.model.errors import InvalidInput
from datacat.model.records import Event, Exit, Loss, Record, Rejected, State
from datacat.model.state import depth
from datacat.wire.codec import SHALLOW, check_data, check_depth, decode, may_be_deep, may_overflow

_record_decoder: Final = msgspec.json.Decoder(Record)

_WITH_DATA: Final = frozenset({Event, Exit})


def decode_batch(body: bytes) -> list[Record | Rejected]:
    """NDJSON lines as records, numbered without a gap; a bad line becomes its number, rejected.

    Raises:
        InvalidInput: too many lines, or numbers that leave a gap or go back: then it cannot be
            known which records these are, and none is taken.
    """
    if body.count(b"\n") > limits.MAX_RECORDS:
        raise _too_many_records()
    try:
        body.decode()
        records: list[Record | Rejected] = _record_decoder.decode_lines(body)
        if records and _all_sound(records, body):
            return records
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    return _decode_one_by_one(body)


def _all_sound(records: list[Record | Rejected], body: bytes) -> bool:
    """The whole batch at once: the common case, where nothing is wrong with any record.

    Whatever is in doubt is left to the slow look at each line; nothing unsound passes here.
    """
    if len(body) > limits.MAX_RECORD_BYTES and max(map(len, body.split(b"\n"))) > limits.MAX_RECORD_BYTES:
        return False
    if len(records) > limits.MAX_RECORDS or not _numbered_in_turn(records):
        return False
    kinds = set(map(type, records))
    if State in kinds and (may_overflow(body) or any(_is_deep_state(each) for each in records)):
        return False
    data = [each.data for each in records if type(each) in _WITH_DATA and each.data]  # type: ignore[union-attr]  # both kinds have data
    return not data or _all_sound_data(data)


def _numbered_in_turn(records: list[Record | Rejected]) -> bool:
    first = records[0]
    expected = first.first if type(first) is Loss else first.seq
    if expected <= 0:
        return False
    if [each.seq for each in records] == list(range(expected, expected + len(records))):
        return all(each.first == each.seq for each in records if type(each) is Loss)
    for each in records:
        if (each.first if type(each) is Loss else each.seq) != expected or each.seq < expected:
            return False
        expected = each.seq + 1
    return True


def _is_deep_state(record: Record | Rejected) -> bool:
    return type(record) is State and depth(record.merge) > limits.MAX_DEPTH


def _all_sound_data(data: list[Raw]) -> bool:
    # No line end can stand inside one record's data, so each that is an object begins a line here.
    together = b"\n".join(data)
    if not together.startswith(b"{") or together.count(b"\n{") != len(data) - 1 or may_overflow(together):
        return False
    if max(len(memoryview(each)) for each in data) <= SHALLOW:
        return True
    return not any(map(may_be_deep, data))


def _decode_one_by_one(body: bytes) -> list[Record | Rejected]:
    records: list[Record | Rejected] = []
    expected: int | None = None
    for line in body.split(b"\n"):
        if not line.strip():
            continue
        record = _decode_line(line, expected)
        first = record.first if isinstance(record, Loss) else record.seq
        if (expected is not None and first != expected) or record.seq < first:
            raise InvalidInput(
                "not_contiguous",
                f"record {first} follows record {expected - 1 if expected else first}: send records in order "
                "and without a gap, and cover what is gone with a loss record",
                field="seq",
                found=str(first),
                expected=str(expected),
            )
        records.append(record)
        expected = record.seq + 1
        if len(records) > limits.MAX_RECORDS:
            raise _too_many_records()
    return records


class _Numbered(msgspec.Struct):
    seq: int = 0


def _decode_line(line: bytes, expected: int | None) -> Record | Rejected:
    """One line; a bad one takes the number it says, or the number that is due."""
    try:
        if len(line) > limits.MAX_RECORD_BYTES:
            raise InvalidInput(
                "record_too_large",
                f"a record may weigh {limits.MAX_RECORD_BYTES} bytes, this one has {len(line)}",
            )
        record: Record = decode(line, Record)  # type: ignore[arg-type]  # a union is a type to msgspec
        if isinstance(record, Event | Exit):
            record.data = check_data(record.data)
        elif isinstance(record, State):
            check_depth(record.merge, field="merge")
        if record.seq > 0:
            return record
        error = InvalidInput("missing_field", "a record must have a number: seq, from 1 on", field="seq")
    except InvalidInput as invalid:
        error = invalid
    try:
        seq = msgspec.json.decode(line, type=_Numbered).seq
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        seq = 0
    if not 0 < seq <= limits.MAX_SEQ:
        seq = expected or 0
    if seq <= 0:
        # The first line has no number that could be rejected: nothing is known of this batch.
        raise error
    return Rejected(seq, error.code, str(error))


def _too_many_records() -> InvalidInput:
    return InvalidInput(
        "too_many_records",
        f"one request may carry {limits.MAX_RECORDS} records: send the rest in the next",
        expected=f"at most {limits.MAX_RECORDS}",
    )
