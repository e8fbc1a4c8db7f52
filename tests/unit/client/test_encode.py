"""What programs put into records: whatever it is, it comes out as JSON within the limits, and nothing is raised."""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacat.client.encode import encode_data, encode_object, encode_record
from datacat.model import limits
from datacat.model.records import Event
from datacat.model.state import depth
from datacat.wire import codec


class Refusing:
    """Raises whatever it is asked."""

    def refuse(self, *_):
        raise RuntimeError("no")

    __str__ = __repr__ = __len__ = __iter__ = __bool__ = __format__ = __int__ = __float__ = refuse
    tolist = property(refuse)


class RefusingMapping(Refusing, Mapping[Any, Any]):
    __getitem__ = Refusing.refuse


class RefusingList(list[Any]):
    __iter__ = __len__ = __getitem__ = __repr__ = Refusing.refuse


class RefusingDict(dict[Any, Any]):
    __iter__ = __len__ = __getitem__ = items = keys = __repr__ = Refusing.refuse


class RefusingText(str):
    __slots__ = ()
    encode = __str__ = __repr__ = __len__ = __getitem__ = Refusing.refuse


class RefusingNumber(int):
    __int__ = __float__ = __str__ = __repr__ = __index__ = Refusing.refuse


class RefusingClass(Refusing):
    __class__ = property(Refusing.refuse)


class Endless(Mapping[str, Any]):
    def __getitem__(self, key):
        return 1

    def __iter__(self):
        n = 0
        while True:
            yield str(n)
            n += 1

    def __len__(self):
        return 1


class Huge(enum.IntEnum):
    ONE = 10**5000


def knot():
    """Things of which each refers to all."""
    things: list[dict[str, Any]] = [{} for _ in range(30)]
    for each in things:
        each.update({str(n): other for n, other in enumerate(things)})
    return things[0]


def deep(levels=500):
    value: Any = 1
    for n in range(levels):
        value = {"d": value} if n % 2 else (value,)
    return value


ODD = [
    Refusing, RefusingMapping, RefusingClass, Endless, knot, deep,
    lambda: RefusingList([1]), lambda: RefusingDict(a=1), lambda: RefusingText("a"), lambda: RefusingNumber(3),
    lambda: Huge.ONE, lambda: 10**5000, lambda: -(10**400), lambda: float("nan"), lambda: "\ud800",
    lambda: {"\ud800": 1}, lambda: {Refusing(): 1}, lambda: b"\xff", object, lambda: ValueError(Refusing()),
]  # fmt: skip

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.sampled_from(ODD)
)  # fmt: skip
keys = st.one_of(st.text(), st.integers(), st.none(), st.just(Refusing), st.just("\ud800"))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner), st.lists(inner).map(tuple), st.dictionaries(keys, inner)),
    max_leaves=20,
)


def made(plan):
    """What was planned, with each odd thing made; so nobody but the code under test touches one."""
    if isinstance(plan, dict):
        return {made(key): made(each) for key, each in plan.items()}
    if isinstance(plan, list | tuple):
        return type(plan)(map(made, plan))
    return plan() if callable(plan) else plan


def sound(raw):
    """What the server reads from it."""
    found = codec.decode(raw, dict[str, Any])
    assert depth(found) < limits.MAX_DEPTH
    return found


@given(st.dictionaries(keys, values))
def test_whatever_it_is_it_goes_out_as_an_object_within_the_limits(plan):
    data = made(plan)
    raw = encode_data(data)
    assert len(raw) < limits.MAX_RECORD_BYTES
    sound(raw)
    sound(encode_object(data))


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("beside", [None, "\ud800"])
def test_one_part_that_resists_does_not_take_the_others_along(make, beside):
    found = sound(encode_object({"a": 1, "odd": make(), "beside": beside}))
    assert found["a"] == 1
    assert found.keys() >= {"a", "odd"}


@pytest.mark.parametrize("make", [RefusingMapping, Endless, lambda: RefusingDict(a=1)])
def test_a_mapping_that_cannot_be_read_is_said_to_be_so_or_cut(make):
    assert sound(encode_data(make()))


@pytest.mark.parametrize("number", [10**5000, 10**400, -(2**1024), 2**1023], ids=int.bit_length)
def test_a_number_that_the_server_would_not_take_is_text(number):
    found = sound(encode_data({"n": number, "m": 1 << 70}))
    assert found["n"].startswith(hex(number)[:100])
    assert found["m"] == 1 << 70


def test_what_is_as_wide_as_it_is_allowed_to_be_goes_out_whole():
    data = {"rows": [{"n": n, "digits": "1" * 10} for n in range(1000)], "least": 2**1023 - 1}
    assert sound(encode_object(data)) == data


def test_what_refers_to_what_is_around_it_is_cut_there():
    parent: dict[str, Any] = {"name": "parent"}
    parent["children"] = [{"name": n, "parent": parent} for n in range(3)]
    assert sound(encode_data({"tree": parent})) == {
        "tree": {"name": "parent", "children": [{"name": n, "parent": "…"} for n in range(3)]}
    }


def test_kinds_of_text_numbers_and_mappings_go_out_as_what_they_are():
    class Text(str):
        __slots__ = ()

    class Number(float):
        pass

    data = {"text": Text("a"), "number": Number(1.5), "mapping": MappingProxyType({"b": [Text("c")]})}
    assert sound(encode_data(data)) == {"text": "a", "number": 1.5, "mapping": {"b": ["c"]}}


def test_text_that_is_not_unicode_is_mended_and_what_stands_beside_it_stays():
    record = Event(time=0, name="e", message="\ud800!", data=msgspec.Raw(b'{"n":1}'))
    found = msgspec.json.decode(b"{" + encode_record(record))
    assert (found["type"], found["message"], found["data"]) == ("event", "?!", {"n": 1})
