from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacat.model.errors import InvalidInput
from datacat.model.state import ABSENT, depth, differences, merge, parse_pointer, remove, split_merge_patch

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=3), values, max_size=4)


@given(objects)
def test_merging_nothing_changes_nothing(state):
    assert merge(state, {}) == state
    assert merge({}, state) == state


@given(objects, objects)
def test_merging_the_same_change_twice_is_merging_it_once(state, change):
    once = merge(state, change)
    assert merge(once, change) == once


@given(objects, objects, objects)
def test_merging_is_associative_where_no_object_meets_another_kind(a, b, c):
    def same_shape(x, y):
        return all(
            key not in y
            or (
                (isinstance(x[key], dict) == isinstance(y[key], dict))
                and (not isinstance(x[key], dict) or same_shape(x[key], y[key]))
            )
            for key in x
        )

    if same_shape(b, c) and same_shape(a, b) and same_shape(a, c):
        assert merge(merge(a, b), c) == merge(a, merge(b, c))


@given(objects, objects)
def test_merging_changes_neither_argument(state, change):
    before, wanted = repr(state), repr(change)
    merge(state, change)
    assert (repr(state), repr(change)) == (before, wanted)


def test_arrays_are_replaced_and_null_is_kept():
    assert merge({"a": [1, 2], "b": 1}, {"a": [3], "b": None}) == {"a": [3], "b": None}


def test_removing_reaches_into_objects_and_arrays():
    state = {"a": {"b": 1, "c": [{"x": 1}, 2]}, "m/n": {"~": 0}}
    assert remove(state, "/a/b") == {"a": {"c": [{"x": 1}, 2]}, "m/n": {"~": 0}}
    assert remove(state, "/a/c/0/x")["a"]["c"] == [{}, 2]
    assert remove(state, "/m~1n/~0")["m/n"] == {}


@pytest.mark.parametrize("pointer", ["/nothing", "/a/9", "/a/01", "/a/-", "/a/b/c/d", "/a/²"])
def test_removing_what_is_not_there_changes_nothing(pointer):
    assert remove({"a": [1, 2]}, pointer) == {"a": [1, 2]}


def test_a_pointer_without_a_slash_is_refused_with_the_cure():
    with pytest.raises(InvalidInput, match="write '/memory'") as caught:
        parse_pointer("memory")
    assert caught.value.code == "bad_pointer"


def apply_rfc_7396(target, patch):
    """The RFC's own pseudo code."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_rfc_7396(result.get(key), value)
    return result


@given(objects, objects)
def test_a_merge_patch_does_what_rfc_7396_says(state, patch):
    kept, removed = split_merge_patch(patch)
    result = state
    for pointer in removed:
        # A pointer may walk through an array, a merge patch never does.
        if all(not isinstance(each, list) for each in _along(state, pointer)):
            result = remove(result, pointer)
    assert merge(result, kept) == apply_rfc_7396(state, patch)


def _along(state: Any, pointer: str) -> Iterator[Any]:
    value: Any = state
    for step in parse_pointer(pointer):
        if not isinstance(value, dict) or step not in value:
            yield value
            return
        value = value[step]
        if step != parse_pointer(pointer)[-1]:
            yield value


def test_depth_counts_objects_and_arrays():
    nested: list[Any] = [1, {}, [[]], {"a": {"b": [1]}}]
    assert [depth(value) for value in nested] == [0, 1, 2, 3]


@given(objects, objects)
def test_the_differences_of_two_states_lead_from_one_to_the_other(before, after):
    state = before
    for pointer, old, new in differences(before, after):
        assert old is ABSENT or old != new
        if new is ABSENT or old is not ABSENT:
            state = remove(state, pointer)
        if new is not ABSENT:
            change = new
            for step in reversed(parse_pointer(pointer)):
                change = {step: change}
            state = merge(state, change)
    assert state == after


def test_what_is_the_same_is_no_difference():
    assert differences({"a": {"b": [1]}}, {"a": {"b": [1]}}) == []
