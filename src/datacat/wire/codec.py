"""JSON bodies as structs, with errors that say what to mend.

msgspec does nearly all of the checking while it decodes. Four things it does not see inside
``Raw`` data, and they are checked here, on the bytes: that the text is UTF-8, that
no number is beyond what a float holds (``1e999``), that data is an object, and that it is not
nested too deep.
"""

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from datacat.model import limits
from datacat.model.errors import InvalidInput
from datacat.model.records import EMPTY
from datacat.model.state import depth
from datacat.wire.refusal import explain, summary

T = TypeVar("T")

_encoder: Final = msgspec.json.Encoder()

# Each digit becomes 0, each e an e, everything else a space: then two plain searches find every
# place where a number could be beyond a float's range (an exponent of three digits, or a very
# long run of digits), ten times faster than a regular expression would.
_NUMBER_SHAPE: Final = bytes(
    ord("0") if 48 <= c <= 57 else ord("e") if c in b"eE" else 32 for c in range(256)
)
_LONG_RUN: Final = b"0" * 200

SHALLOW: Final = 2 * limits.MAX_DEPTH
"""Data of no more bytes cannot nest beyond the limit: each level takes two brackets."""

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
        if may_overflow(body):
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
        if not may_overflow(together):
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
            found = summary(msgspec.json.decode(data))
        except RecursionError as error:
            raise explain(error, bytes(data)) from None
        raise InvalidInput(
            "not_object",
            f'{field} must be a JSON object, found {found}: wrap it, as in {{"value": …}}',
            field=field,
            found=found,
            expected="a JSON object",
        )
    if len(view) > SHALLOW and may_be_deep(data):
        try:
            check_depth(msgspec.json.decode(data), field=field)
        except RecursionError as error:
            raise explain(error, bytes(data)) from None
    return data


def may_be_deep(data: Raw) -> bool:
    """Whether data may nest beyond the limit: a quick look, on the safe side."""
    text = bytes(data)
    return text.count(b"{") + text.count(b"[") > limits.MAX_DEPTH


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


def may_overflow(body: bytes) -> bool:
    """Whether a number in ``body`` may be beyond what a float holds: a quick look, on the safe side."""
    shape = body.translate(_NUMBER_SHAPE, b"+")
    return b"0e000" in shape or _LONG_RUN in shape


def _check_text(body: bytes) -> None:
    if not body.isascii():
        body.decode()


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
