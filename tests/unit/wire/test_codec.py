import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacat.model import limits
from datacat.model.errors import InvalidInput
from datacat.model.records import Event, Loss, Metric, Rejected, State
from datacat.wire import codec
from datacat.wire.problem import CODES

names = st.text(min_size=1, max_size=20)
times = st.integers(0, limits.MAX_TIME)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
data = st.dictionaries(st.text(max_size=5), json_values, max_size=3)
records = st.one_of(
    st.builds(
        lambda time, name, data: Event(time=time, name=name, data=msgspec.Raw(codec.encode(data))),
        times,
        names,
        data,
    ),
    st.builds(
        lambda time, name, value, tags: Metric(time=time, name=name, value=value, tags=tags),
        times,
        names,
        st.floats(allow_nan=False, allow_infinity=False),
        st.lists(names, max_size=3),
    ),
    st.builds(lambda time, merge: State(time=time, merge=merge), times, data),
)


@given(st.lists(records, min_size=1, max_size=20), st.integers(1, 10**6))
def test_records_survive_the_round_trip(log, first):
    for seq, record in enumerate(log, first):
        record.seq = seq
    decoded = codec.decode_batch(b"\n".join(codec.encode(record) for record in log))
    assert [codec.encode(record) for record in decoded] == [codec.encode(record) for record in log]


def line(seq, **fields):
    return codec.encode({"seq": seq, "time": 1, "type": "event", "name": "e", **fields})


BAD = {
    b'{"seq":2,"time":1,"type":"event","name":"e","data":[1]}': "not_object",
    b'{"seq":2,"time":1,"type":"event","name":"e","data":{"a":1e999}}': "number_not_finite",
    b'{"seq":2,"time":1,"type":"event","name":"e","data":{"a":-1E+400}}': "number_not_finite",
    b'{"seq":2,"time":1,"type":"event","name":"e","data":{"a":' + b"9" * 400 + b"}}": "number_not_finite",
    b'{"seq":2,"time":1,"type":"event","name":"e","data":{"a":NaN}}': "number_not_finite",
    b'{"seq":2,"time":1,"type":"metric","name":"e","value":Infinity}': "number_not_finite",
    b'{"seq":2,"time":1,"type":"metric","name":"e","value":"1"}': "wrong_type",
    b'{"seq":2,"time":1,"type":"metric","name":"e"}': "missing_field",
    b'{"seq":2,"time":1,"type":"event","name":"\xff"}': "bad_utf8",
    b'{"seq":2,"time":1,"type":"event","name":"e","data":{"a":"\xff"}}': "bad_utf8",
    b'{"seq":2,"time":1,"type":"event","name":""}': "too_short",
    b'{"seq":2,"time":1,"type":"event","name":"' + b"x" * 201 + b'"}': "too_long",
    b'{"seq":2,"time":1,"type":"dance"}': "unknown_type",
    b'{"seq":2,"time":-1,"type":"end"}': "out_of_range",
    b'{"seq":2,"time":1,"type":"event","name":"e","level":"loud"}': "wrong_value",
    b'{"seq":2,"time":1,"type":"event","name":"e","data":'
    + b'{"a":' * 65
    + b"1"
    + b"}" * 65
    + b"}": "too_deep",
    b'{"seq":2,"time":1,"type":"event","name":"e","data":{"a":'
    + b"[" * 3000
    + b"]" * 3000
    + b"}}": "too_deep",
    b'{"seq":2,"time":1,"type":"state","merge":{"a":' + b"[" * 70 + b"]" * 70 + b"}}": "too_deep",
    b'{"seq":2,"time":1,"type":"state","merge":{"a":1e999}}': "number_not_finite",
    b"not json": "not_json",
    b'"text"': "wrong_type",
}


@pytest.mark.parametrize(
    ("bad", "code"), BAD.items(), ids=[f"{n}-{code}" for n, code in enumerate(BAD.values())]
)
def test_a_bad_record_is_rejected_by_its_number_and_its_neighbours_are_taken(bad, code):
    before, rejected, after = codec.decode_batch(b"\n".join([line(1), bad, line(3)]))
    assert isinstance(before, Event)
    assert isinstance(after, Event)
    assert isinstance(rejected, Rejected)
    assert (rejected.seq, rejected.code) == (2, code)
    assert code in CODES


def test_numbers_and_words_that_only_look_dangerous_are_taken():
    text = "e000 1e999 NaN " + "1" * 400
    (record,) = codec.decode_batch(line(1, data={"text": text, "small": 1e-300, "big": 1e300}))
    assert isinstance(record, Event)


@given(st.lists(records, min_size=2, max_size=9), st.integers(0, 8), st.sampled_from(sorted(BAD)))
def test_a_bad_record_is_found_among_any_others(log, place, bad):
    for seq, record in enumerate(log, 1):
        record.seq = seq
    lines = [codec.encode(record) for record in log]
    place = 1 + place % (len(lines) - 1)
    lines[place] = bad.replace(b'"seq":2', b'"seq":%d' % (place + 1))
    found = codec.decode_batch(b"\n".join(lines))
    assert [type(each) is Rejected for each in found] == [n == place for n in range(len(lines))]


def test_deep_and_large_data_are_told_apart():
    wide = line(1, data={"list": [{"a": n} for n in range(200)]})
    deep = line(2, data={"a": json.loads("[" * 70 + "]" * 70)})
    first, second = codec.decode_batch(wide + b"\n" + deep)
    assert isinstance(first, Event)
    assert isinstance(second, Rejected)


def test_a_gap_inside_a_batch_is_refused_whole():
    with pytest.raises(InvalidInput) as caught:
        codec.decode_batch(line(1) + b"\n" + line(3))
    assert (caught.value.code, caught.value.found, caught.value.expected) == ("not_contiguous", "3", "2")


def test_a_loss_record_bridges_a_gap():
    loss = codec.encode(Loss(seq=4, time=1, first=2))
    assert len(codec.decode_batch(b"\n".join([line(1), loss, line(5)]))) == 3


def test_a_first_line_without_a_number_refuses_the_batch():
    with pytest.raises(InvalidInput, match="seq"):
        codec.decode_batch(codec.encode({"time": 1, "type": "end"}))


def test_empty_lines_and_a_last_line_end_are_no_records():
    assert len(codec.decode_batch(line(1) + b"\n\n" + line(2) + b"\n")) == 2


def test_too_many_records_are_refused():
    with pytest.raises(InvalidInput, match="10000 records"):
        codec.decode_batch(b"\n" * (limits.MAX_RECORDS + 1))


def test_a_record_over_the_size_is_rejected_alone():
    large = line(2, message="x" * limits.MAX_RECORD_BYTES)
    assert codec.decode_batch(b"\n".join([line(1), large, line(3)]))[1] == Rejected(
        2,
        "record_too_large",
        f"a record may weigh {limits.MAX_RECORD_BYTES} bytes, this one has {len(large)}",
    )


@given(st.binary(max_size=300))
def test_any_bytes_give_records_or_a_clear_error(body):
    with contextlib.suppress(InvalidInput):
        assert isinstance(codec.decode_batch(body), list)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"name":"1e998","data":{"a":[1e5,-1e999]}}', "-1e999"),
        (b'{"name":"e","data":{"a":' + b"9" * 400 + b"}}", "9" * 37 + "\u2026"),
        (b'{"name":"e","data":{"a":1e999}', "'"),
    ],
)
def test_a_number_that_no_float_holds_is_shown(body, found):
    with pytest.raises(InvalidInput) as caught:
        codec.decode(body, _Named)
    assert caught.value.found.startswith(found)


def test_an_error_names_the_field_what_was_found_and_what_was_expected():
    with pytest.raises(InvalidInput) as caught:
        codec.decode(b'{"seq":1,"time":1,"type":"metric","name":"m","value":1,"tags":["a",7]}', Metric)
    assert (caught.value.field, caught.value.found, caught.value.expected) == ("tags[1]", "a number 7", "str")


class _Named(msgspec.Struct):
    name: str
    data: msgspec.Raw = msgspec.Raw()


_NAMED = msgspec.json.Decoder(_Named)


def alone(body):
    try:
        return codec.decode(body, _Named)
    except InvalidInput as error:
        return str(error)


BODIES = st.sampled_from(
    [
        b'{"name":"a"}',
        b' {"name":"b","data":{"x":[1,2]}} ',
        b'{"name":\n"c"}',
        b'{"name":"d"}\n{"name":"d"}',
        b'{"name":"e","data":{"x":1e999}}',
        b'{"name":"f","data":[1',
        b"2]}",
        b'{"name":"\xff"}',
        b'{"name":"g\xc3',
        b'\xa9"}',
        b'{"name":7}',
        b'{"name":"h"}{"name":"i"}',
        b'{"name":"j","data":{"k":',
        b'}}{"name":"l"}{"name":"m"}',
        b"[" * 2_000,
        b"",
        b"\n",
        b"null",
    ]
)


@given(st.lists(BODIES, min_size=1, max_size=6))
def test_bodies_decoded_together_are_what_each_is_alone(bodies):
    together = codec.decode_all(bodies, _NAMED)
    assert [each if isinstance(each, _Named) else str(each) for each in together] == [
        alone(body) for body in bodies
    ]
