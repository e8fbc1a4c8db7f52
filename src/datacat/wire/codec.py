"""Records as NDJSON, and bodies as structs, with errors that say what to mend.

msgspec does nearly all of the checking while it decodes. Four things it does not see inside
``Raw`` data, and they are checked here once a batch, on the bytes: that the text is UTF-8, that
no number is beyond what a float holds (``1e999``), that data is an object, and that it is not
nested too deep.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from datacat.model import limits
from datacat.model.errors import InvalidInput
from datacat.model.records import EMPTY, Event, Exit, Loss, Record, Rejected, State
from datacat.model.state import depth

T = TypeVar("T")

_encoder: Final = msgspec.json.Encoder()
_record_decoder: Final = msgspec.json.Decoder(Record)

# Each digit becomes 0, each e an e, everything else a space: then two plain searches find every
# place where a number could be beyond a float's range (an exponent of three digits, or a very
# long run of digits), ten times faster than a regular expression would.
_NUMBER_SHAPE: Final = bytes(
    ord("0") if 48 <= c <= 57 else ord("e") if c in b"eE" else 32 for c in range(256)
)
_LONG_RUN: Final = b"0" * 200

# Data of fewer bytes than this cannot nest beyond the limit: each level takes two brackets.
_SHALLOW: Final = 2 * limits.MAX_DEPTH

_WITH_DATA: Final = frozenset({Event, Exit})

# A value's first byte tells its kind.
_OBJECT: Final = ord("{")
_NULL: Final = ord("n")


def encode(value: Any) -> bytes:
    """JSON, as compact as it goes."""
    return _encoder.encode(value)


def decode(body: bytes, kind: type[T]) -> T:
    """A JSON body as ``kind``.

    Raises:
        InvalidInput: what is wrong, where, and what was expected.
    """
    try:
        value: T = msgspec.json.decode(body, type=kind)
        _check_text(body)
        if _may_overflow(body):
            _check_finite(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise explain(error, body) from None
    return value


def decode_all(bodies: Sequence[bytes], decoder: msgspec.json.Decoder[T]) -> list[T | InvalidInput]:
    """Each as :func:`decode` would say, or what it would raise: all checked in one step where nothing is wrong with any."""
    try:
        # Not as lines: those may share a value, and one body would be read into another.
        values: list[T | InvalidInput] = [*map(decoder.decode, bodies)]
        together = b"\n".join(bodies)
        _check_text(together)
        if not _may_overflow(together):
            return values
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    found: list[T | InvalidInput] = []
    for body in bodies:
        try:
            found.append(decode(body, decoder.type))
        except InvalidInput as error:
            found.append(error)
    return found


def decode_object(body: bytes) -> dict[str, Any]:
    """A JSON object of any shape, not nested too deep."""
    try:
        value = decode(body, dict[str, Any])
    except InvalidInput as error:
        if error.code == "wrong_type" and not error.field:
            error.code = "not_object"
        raise
    check_depth(value)
    return value


def check_data(data: Raw, *, field: str = "data") -> Raw:
    """``data`` as it is stored: an object of no more than the allowed depth; a null is no data."""
    view = memoryview(data)
    if not view or view[0] == _NULL:
        return EMPTY
    if view[0] != _OBJECT:
        try:
            found = _summary(msgspec.json.decode(data))
        except RecursionError as error:
            raise explain(error, bytes(data)) from None
        raise InvalidInput(
            "not_object",
            f'{field} must be a JSON object, found {found}: wrap it, as in {{"value": …}}',
            field=field,
            found=found,
            expected="a JSON object",
        )
    if len(view) > _SHALLOW and _may_be_deep(data):
        try:
            check_depth(msgspec.json.decode(data), field=field)
        except RecursionError as error:
            raise explain(error, bytes(data)) from None
    return data


def check_depth(value: Any, *, field: str = "") -> None:
    """Refuse what nests too deep."""
    if (found := depth(value)) > limits.MAX_DEPTH:
        raise InvalidInput(
            "too_deep",
            f"objects and arrays may nest {limits.MAX_DEPTH} deep: flatten the data, or send the inner part as text",
            field=field,
            found=f"depth {found}",
            expected=f"at most {limits.MAX_DEPTH}",
        )


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
    if State in kinds and (_may_overflow(body) or any(_is_deep_state(each) for each in records)):
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
    if not together.startswith(b"{") or together.count(b"\n{") != len(data) - 1 or _may_overflow(together):
        return False
    if max(len(memoryview(each)) for each in data) <= _SHALLOW:
        return True
    return not any(_may_be_deep(each) for each in data)


def _may_be_deep(data: Raw) -> bool:
    text = bytes(data)
    return text.count(b"{") + text.count(b"[") > limits.MAX_DEPTH


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


def _check_text(body: bytes) -> None:
    if not body.isascii():
        body.decode()


def _may_overflow(body: bytes) -> bool:
    shape = body.translate(_NUMBER_SHAPE, b"+")
    return b"0e000" in shape or _LONG_RUN in shape


def _check_finite(body: bytes) -> None:
    """The slow, exact look: decode everything, as plain values."""
    stack = [msgspec.json.decode(body)]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, int) and abs(value) > 2**1023:
            raise msgspec.ValidationError("Number out of range")


_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$?\.?(?P<field>.*)`)?$", re.DOTALL)
_NOT_FINITE: Final = re.compile(rb"(?<![\w\"])-?(NaN|Infinity|nan|inf)(?![\w\"])")
_LENGTH: Final = re.compile(r"Expected `(\w+)` of length (>=|<=) (\d+)")
_RANGE: Final = re.compile(r"Expected `\w+` (>=|<=|>|<) (\S+)")


def explain(error: Exception, body: bytes) -> InvalidInput:
    """Msgspec's word for what is wrong with ``body``, as one of our codes, with its field."""
    if isinstance(error, UnicodeDecodeError):
        return InvalidInput(
            "bad_utf8",
            "JSON is UTF-8, and this is not: encode the text as UTF-8",
            found=repr(error.object[:40]),
        )
    if isinstance(error, RecursionError):
        return InvalidInput(
            "too_deep",
            f"objects and arrays may nest {limits.MAX_DEPTH} deep",
            expected=f"at most {limits.MAX_DEPTH}",
        )
    match = _AT.match(str(error))
    what, field = (match["what"], match["field"] or "") if match else (str(error), "")
    field = field.partition("[...]")[0]
    if not isinstance(error, msgspec.ValidationError):
        return _explain_syntax(what, body)
    return _explain_value(what, field, body)


def _explain_syntax(what: str, body: bytes) -> InvalidInput:
    if literal := _NOT_FINITE.search(body):
        found = literal[0].decode()
        return InvalidInput(
            "number_not_finite",
            f"JSON has no {found}: send null, or leave the value out",
            found=found,
            expected="a finite number",
        )
    if not body.strip():
        return InvalidInput("not_json", "the body is empty; a JSON object was expected", found="nothing")
    return InvalidInput(
        "not_json", f"the body is not JSON: {what}", found=repr(body[:60])[1:], expected="JSON"
    )


def _explain_value(what: str, field: str, body: bytes) -> InvalidInput:
    value = _value_at(body, field)
    found = _summary(value)
    where = field or "the body"
    if missing := re.search(r"missing required field `(\w+)`", what):
        name = f"{field}.{missing[1]}" if field else missing[1]
        return InvalidInput("missing_field", f"{name} is missing", field=name, found="nothing", expected=name)
    if "out of range" in what:
        return InvalidInput(
            "number_not_finite",
            f"a number in {where} is beyond what a 64-bit float holds",
            field=field,
            found=_beyond(body) or found,
            expected="a finite number",
        )
    if length := _LENGTH.search(what):
        code = "too_long" if length[2] == "<=" else "too_short"
        bound = "at most" if length[2] == "<=" else "at least"
        size = len(value) if isinstance(value, str | list | dict) else 0
        unit = "characters" if length[1] == "str" else "items"
        return InvalidInput(
            code,
            f"{where} must have {bound} {length[3]} {unit}, it has {size}",
            field=field,
            found=f"{size} {unit}",
            expected=f"{bound} {length[3]} {unit}",
        )
    if bounds := _RANGE.search(what):
        return InvalidInput(
            "out_of_range",
            f"{where} must be {bounds[1]} {bounds[2]}, found {found}",
            field=field,
            found=found,
            expected=f"{bounds[1]} {bounds[2]}",
        )
    if what.startswith("Invalid value") or "enum value" in what:
        code = "unknown_type" if field == "type" else "wrong_value"
        return InvalidInput(
            code, f"{where}: {found} is not known", field=field, found=found, expected=_known(field)
        )
    expected = match[1] if (match := re.search(r"Expected `([^`]+)`", what)) else what
    return InvalidInput(
        "wrong_type",
        f"{where} must be {expected}, found {found}",
        field=field,
        found=found,
        expected=expected,
    )


def _known(field: str) -> str:
    return {
        "level": "debug, info, warning, error or fatal",
        "kind": "gauge, counter, histogram or timer",
        "type": "start, state, event, metric, heartbeat, loss, exit or end",
    }.get(field, "a known value")


def _value_at(body: bytes, field: str) -> Any:
    try:
        value = msgspec.json.decode(body)
        for step in re.findall(r"[^.\[\]]+", field):
            value = value[int(step)] if isinstance(value, list) else value[step]
    except (
        msgspec.MsgspecError,
        UnicodeDecodeError,
        RecursionError,
        KeyError,
        IndexError,
        ValueError,
        TypeError,
    ):
        return None
    return value


_TEXT_OR_NUMBER: Final = re.compile(r'"(?:[^"\\]|\\.)*"|(-?[0-9]+(?:[.][0-9]+)?(?:[eE][+-]?[0-9]+)?)')


def _beyond(body: bytes) -> str:
    """The first number that no float holds; empty where there is none."""
    for token in _TEXT_OR_NUMBER.finditer(body.decode(errors="replace")):
        text = token[1]
        if text and math.isinf(float(text)):
            return _short(text)
    return ""


_JSON_WORDS: Final = {dict: "an object", list: "an array", str: "text", bool: "a boolean", type(None): "null"}


def _summary(value: Any) -> str:
    """A value in a few words: its kind, and itself where it is short."""
    word = _JSON_WORDS.get(type(value), "a number")
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return f"{word} {_short(repr(value))}"
    return word


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"
