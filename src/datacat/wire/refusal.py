"""What is wrong with a body, in our words: the code, the field, what was found, what was expected."""

import math
import re
from typing import Any, Final

import msgspec

from datacat.model import limits
from datacat.model.errors import InvalidInput

_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$?\.?(?P<field>.*)`)?$", re.DOTALL)
_NOT_FINITE: Final = re.compile(rb"(?<![\w\"])-?(NaN|Infinity|nan|inf)(?![\w\"])")
_SURROGATES: Final = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\[^u]|(\\u[dD][89a-fA-F]..)")
"""Pairs, escapes of one letter, and as a group what is half of a pair."""
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
    lone = next((pair[1] for pair in _SURROGATES.finditer(body) if pair[1]), None)
    if lone is not None:
        found = lone.decode("ascii", "replace")
        return InvalidInput(
            "not_json",
            f"the body is not JSON: {found} is half of a character: send both halves, or leave it out",
            found=found,
            expected="both surrogates of a pair",
        )
    if not body.strip():
        return InvalidInput("not_json", "the body is empty; a JSON object was expected", found="nothing")
    return InvalidInput(
        "not_json", f"the body is not JSON: {what}", found=repr(body[:60])[1:], expected="JSON"
    )


def _explain_value(what: str, field: str, body: bytes) -> InvalidInput:
    value = _value_at(body, field)
    found = summary(value)
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


def summary(value: Any) -> str:
    """A value in a few words: its kind, and itself where it is short."""
    word = _JSON_WORDS.get(type(value), "a number")
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return f"{word} {_short(repr(value))}"
    return word


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"
