"""Records to bytes, whatever the program put into them: this never raises.

The common case is one call of msgspec. What it cannot encode (an odd key, a lone surrogate, a
cycle, a ``__repr__`` that raises, a number too long to be written) goes the slow way: the value is
copied into plain JSON shapes, cut where it is too deep, and each part that resists becomes text.
"""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import msgspec

from datacat.client.arguments import check_level, check_name
from datacat.client.text import text_of
from datacat.model import limits
from datacat.model.records import Base, Event, Level
from datacat.model.state import depth

_MAX_TEXT: Final = 200
_MAX_ITEMS: Final = 10_000
_MAX_BITS: Final = sys.float_info.max_exp
"""A whole number of as many bits may be more than a float holds, and the server takes none such."""

_DIGITS: Final = bytes(ord("0") if 48 <= byte <= 57 else 32 for byte in range(256))
_LONG_RUN: Final = b"0" * sys.float_info.max_10_exp
"""The digits, each made a 0, of the least number that may have so many bits."""

_DEEPEST: Final = limits.MAX_DEPTH - 2
_SHALLOW: Final = 2 * limits.MAX_DEPTH
"""JSON of no more bytes than this cannot nest too deep: each level takes two brackets."""


def as_plain(value: Any) -> Any:
    """What JSON has no form for, in the form that says most: numbers, arrays and mappings as such, else text."""
    for name in ("tolist", "item", "isoformat", "__fspath__"):
        convert = getattr(value, name, None)
        if callable(convert):
            return convert()
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {text_of(value)}"
    if isinstance(value, Mapping):
        return dict(islice(value.items(), _MAX_ITEMS))
    return plain(value)


_encoder: Final = msgspec.json.Encoder(enc_hook=as_plain)
encode_quickly: Final = _encoder.encode


def encode_data(data: Mapping[str, Any]) -> bytes:
    """A mapping as a JSON object, within the limits."""
    raw = encode_object(data)
    if len(raw) > limits.MAX_RECORD_BYTES // 2:
        raw = encode_quickly({"datacat_truncated": len(raw)})
    return raw


def encode_object(data: Mapping[str, Any]) -> bytes:
    """A mapping as a JSON object that nests no deeper than it may."""
    try:
        raw = encode_quickly(data)
        sound = len(raw) <= _SHALLOW or _is_sound(raw)
    except Exception:  # noqa: BLE001  # the program's own objects may raise anything
        sound = False
    return raw if sound else encode_quickly(_plain_object(data))


def _is_sound(raw: bytes) -> bool:
    """Whether the server takes this object: quick looks, on the safe side, before the long one."""
    if len(raw) >= len(_LONG_RUN) and _LONG_RUN in raw.translate(_DIGITS):
        return False
    return raw.count(b"{") + raw.count(b"[") <= _DEEPEST or depth(msgspec.json.decode(raw)) <= _DEEPEST


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
        mended = {name: plain(getattr(record, name)) for name in record.__struct_fields__}
        body = encode_quickly(msgspec.structs.replace(record, **mended))
    return body.replace(b',"time":0', b"", 1)[1:]


def plain(value: Any) -> Any:
    """A copy of ``value`` in JSON's own shapes, as deep and as long as a record may be."""
    return _Copy().of(value, _DEEPEST)


def _plain_object(value: Mapping[str, Any]) -> dict[str, Any]:
    """As :func:`plain`; of a mapping that cannot be read, an object that says so."""
    copied = plain(value)
    return copied if isinstance(copied, dict) else {"datacat_unreadable": copied}


class _Copy:
    """One copy, bounded as a whole: things that refer to each other have no end, however deep one looks."""

    def __init__(self) -> None:
        self._room = _MAX_ITEMS
        self._around: set[int] = set()

    def of(self, value: Any, left: int) -> Any:
        """``value``, at most ``left`` deep."""
        try:
            return self._shaped(value, left)
        except Exception:  # noqa: BLE001  # as above
            return _text(value)

    def _shaped(self, value: Any, left: int) -> Any:
        if value is None or isinstance(value, bool | msgspec.Raw):
            return value
        if isinstance(value, str):
            return _mended(value)
        if isinstance(value, int):
            number = int.__int__(value)
            return number if number.bit_length() < _MAX_BITS else _shortened(hex(number))
        if isinstance(value, float):
            return float.__float__(value) if math.isfinite(value) else None
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            return self._inside(value, left)
        return _text(value)

    def _inside(self, value: Any, left: int) -> Any:
        if left <= 0 or id(value) in self._around:
            return "…"
        self._around.add(id(value))
        try:
            if isinstance(value, Mapping):
                return {_key(key): self.of(each, left - 1) for key, each in self._some(value.items())}
            return [self.of(each, left - 1) for each in self._some(value)]
        finally:
            self._around.discard(id(value))

    def _some(self, items: Iterable[Any]) -> Iterator[Any]:
        for each in items:
            if self._room <= 0:
                return
            self._room -= 1
            yield each


def _key(key: Any) -> str:
    return _mended(key) if isinstance(key, str) else _text(key)


def _text(value: Any) -> str:
    return _mended(_shortened(text_of(value, repr)))


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"


def _mended(text: str) -> str:
    return str.encode(text, "utf-8", "replace").decode()
