"""Records to bytes, whatever the program put into them: this never raises.

The common case is one call of msgspec. What it cannot encode (an odd key, a lone surrogate, a
cycle, a ``__repr__`` that raises) goes the slow way: the value is copied into plain JSON shapes,
cut where it is too deep, and each part that resists becomes text.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from datacat.client.arguments import check_level, check_name
from datacat.client.text import text_of
from datacat.model import limits
from datacat.model.records import Base, Event, Level
from datacat.model.state import depth

_MAX_TEXT: Final = 200
_MAX_ITEMS: Final = 10_000
_DEEPEST: Final = limits.MAX_DEPTH - 2
_SHALLOW: Final = 2 * limits.MAX_DEPTH
"""JSON of no more bytes than this cannot nest too deep: each level takes two brackets."""


def as_plain(value: Any) -> Any:
    """What JSON has no form for, in the form that says most: numbers and arrays as such, else text."""
    for name in ("tolist", "item", "isoformat", "__fspath__"):
        convert = getattr(value, name, None)
        if callable(convert):
            return convert()
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {text_of(value)}"
    return _text(value)


_encoder: Final = msgspec.json.Encoder(enc_hook=as_plain)
encode_quickly: Final = _encoder.encode


def encode_data(data: Any) -> bytes:
    """A mapping as a JSON object, within the limits."""
    try:
        raw = encode_quickly(data)
    except Exception:  # noqa: BLE001  # the program's own objects may raise anything
        raw = encode_quickly(plain(data))
    return raw if len(raw) <= _SHALLOW else _within_limits(raw)


def _within_limits(raw: bytes) -> bytes:
    if depth(msgspec.json.decode(raw)) > _DEEPEST:
        raw = encode_quickly(plain(msgspec.json.decode(raw)))
    if len(raw) > limits.MAX_RECORD_BYTES // 2:
        raw = encode_quickly({"datacat_truncated": len(raw)})
    return raw


ANY_FORM: Final = b'{"seq":%d,"time":%d,%b\n'
"""A record's line, of its number, its time and the rest of it: see :func:`encode_record`."""


@lru_cache(maxsize=1000)
def event_form(name: str, level: Level) -> bytes:
    """The line of any event of this name and level, to be filled with number, time and data.

    Raises:
        TypeError, ValueError: the name or the level is wrong.
    """
    check_name(name)
    check_level(level)
    head = encode_record(Event(time=0, name=name, level=level))[:-1].replace(b"%", b"%%")
    return b'{"seq":%d,"time":%d,' + head + b',"data":%b}\n'


def encode_record(record: Base) -> bytes:
    """A record whose data is in order already, without its first brace, its number and its time.

    Text that is not Unicode is mended.
    """
    record.time = 0
    try:
        body = encode_quickly(record)
    except Exception:  # noqa: BLE001  # as above
        body = encode_quickly(plain(msgspec.to_builtins(record, enc_hook=as_plain)))
    return body.replace(b',"time":0', b"", 1)[1:]


def plain(value: Any, left: int = _DEEPEST) -> Any:
    """A copy of ``value`` in JSON's own shapes, at most ``left`` deep."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, msgspec.Raw):
        return value
    if left <= 0:
        return _text(value)
    if isinstance(value, Mapping):
        pairs = list(value.items())[:_MAX_ITEMS]
        return {key if isinstance(key, str) else _text(key): plain(each, left - 1) for key, each in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each, left - 1) for each in list(value)[:_MAX_ITEMS]]
    return _text(value)


def _text(value: Any) -> str:
    text = text_of(value, repr)
    text = text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
    return text.encode("utf-8", "replace").decode()
