"""State: one nested JSON object per session, changed by deep merge.

Objects merge, everything else (arrays too) is replaced, and ``null`` is a value that is kept.
Removal is explicit, by JSON Pointer (RFC 6901). Nothing here changes its arguments: results
share what did not change, so keeping an old state is free.
"""

from collections.abc import Iterable
from typing import Any, Final

from datacat.model.errors import InvalidInput

JsonObject = dict[str, Any]


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""There is nothing here, not even a null."""


def merge(state: JsonObject, change: JsonObject) -> JsonObject:
    """``state`` with ``change`` merged into it, at every depth.

    The founding example, step by step:

    >>> state = {"window_state": {"open": ["w1"], "active": "w1"}, "memory": {"footprint_mb": 50}}
    >>> state = merge(state, {"window_state": {"open": ["w1", "w2"]}})
    >>> state["window_state"]
    {'open': ['w1', 'w2'], 'active': 'w1'}
    >>> state = merge(state, {"memory": {"footprint_mb": 75}})
    >>> state
    {'window_state': {'open': ['w1', 'w2'], 'active': 'w1'}, 'memory': {'footprint_mb': 75}}

    A null is a value:

    >>> merge(state, {"window_state": {"active": None}})["window_state"]
    {'open': ['w1', 'w2'], 'active': None}
    """
    merged = dict(state)
    for key, value in change.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def remove(state: JsonObject, pointer: str) -> JsonObject:
    """``state`` without what ``pointer`` points at; what is not there needs no removing.

    >>> remove({"memory": {"footprint_mb": 75, "peak_mb": 90}, "open": ["a", "b"]}, "/memory/peak_mb")
    {'memory': {'footprint_mb': 75}, 'open': ['a', 'b']}
    >>> remove({"open": ["a", "b"]}, "/open/0")
    {'open': ['b']}
    >>> remove({"open": ["a", "b"]}, "")
    {}

    Raises:
        InvalidInput: code ``bad_pointer`` when it is not a JSON Pointer.
    """
    steps = parse_pointer(pointer)
    return _without(state, steps) if steps else {}


def _without(value: Any, steps: list[str]) -> Any:
    head, rest = steps[0], steps[1:]
    if isinstance(value, dict) and head in value:
        if rest:
            return {**value, head: _without(value[head], rest)}
        return {key: kept for key, kept in value.items() if key != head}
    # RFC 6901, section 4: an array index has no sign and no leading zero.
    if isinstance(value, list) and head.isascii() and head.isdigit() and str(int(head[:19])) == head:
        index = int(head)
        if index < len(value):
            middle = [_without(value[index], rest)] if rest else []
            return [*value[:index], *middle, *value[index + 1 :]]
    return value


def parse_pointer(pointer: str) -> list[str]:
    """The steps of a JSON Pointer.

    >>> parse_pointer("/a~1b/m~0n")
    ['a/b', 'm~n']
    """
    if pointer and not pointer.startswith("/"):
        raise InvalidInput(
            "bad_pointer",
            f"remove takes JSON Pointers (RFC 6901), which begin with a slash: write '/{pointer[:80]}'",
            field="remove",
            found=repr(pointer[:80]),
            expected="a JSON Pointer",
        )
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def value_at(state: Any, steps: Iterable[str]) -> Any:
    """What is at the end of a path of keys, and of places in arrays; :data:`ABSENT` for nothing.

    >>> value_at({"window": {"open": ["w1", "w2"]}}, ["window", "open", "1"])
    'w2'
    """
    for step in steps:
        if isinstance(state, dict) and step in state:
            state = state[step]
        elif isinstance(state, list) and step.isdecimal() and int(step) < len(state):
            state = state[int(step)]
        else:
            return ABSENT
    return state


def split_merge_patch(patch: JsonObject, prefix: str = "") -> tuple[JsonObject, list[str]]:
    """An RFC 7396 merge patch as our two parts: what to merge, and what to remove.

    >>> split_merge_patch({"a": {"b": None, "c": 1}, "d": None})
    ({'a': {'c': 1}}, ['/a/b', '/d'])
    """
    kept: JsonObject = {}
    removed: list[str] = []
    for key, value in patch.items():
        pointer = f"{prefix}/{key.replace('~', '~0').replace('/', '~1')}"
        if value is None:
            removed.append(pointer)
        elif isinstance(value, dict):
            kept[key], below = split_merge_patch(value, pointer)
            removed += below
        else:
            kept[key] = value
    return kept, removed


def differences(before: JsonObject, after: JsonObject, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """What is not the same in two states: JSON Pointer, what was there, what is; :data:`ABSENT` for nothing.

    >>> differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}, "d": None})
    [('/a/b', 1, 3), ('/d', ABSENT, None)]
    """
    found: list[tuple[str, Any, Any]] = []
    for key in dict.fromkeys([*before, *after]):
        pointer = f"{prefix}/{key.replace('~', '~0').replace('/', '~1')}"
        old, new = before.get(key, ABSENT), after.get(key, ABSENT)
        if isinstance(old, dict) and isinstance(new, dict):
            found += differences(old, new, pointer)
        elif old != new:
            found.append((pointer, old, new))
    return found


def depth(value: Any) -> int:
    """How deeply objects and arrays nest: 0 for a plain value.

    >>> depth({"a": [{}]})
    3
    """
    deepest = 0
    level = [value]
    while containers := [each for each in level if isinstance(each, dict | list)]:
        deepest += 1
        level = [
            inner for each in containers for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return deepest
