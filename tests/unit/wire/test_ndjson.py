import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacat.model import limits
from datacat.model.errors import InvalidInput
from datacat.model.records import Event, Loss, Metric, Rejected, State
from datacat.wire.codec import encode
from datacat.wire.ndjson import decode_batch
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
        lambda time, name, data: Event(time=time, name=name, data=msgspec.Raw(encode(data))),
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
    decoded = decode_batch(b"\n".join(encode(record) for record in log))
    assert [encode(record) for record in decoded] == [encode(record) for record in log]


def line(seq, **fields):
    return encode({"seq": seq, "time": 1, "type": "event", "name": "e", **fields})


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
    before, rejected, after = decode_batch(b"\n".join([line(1), bad, line(3)]))
    assert isinstance(before, Event)
    assert isinstance(after, Event)
    assert isinstance(rejected, Rejected)
    assert (rejected.seq, rejected.code) == (2, code)
    assert code in CODES


def test_numbers_and_words_that_only_look_dangerous_are_taken():
    text = "e000 1e999 NaN " + "1" * 400
    (record,) = decode_batch(line(1, data={"text": text, "small": 1e-300, "big": 1e300}))
    assert isinstance(record, Event)


@given(st.lists(records, min_size=2, max_size=9), st.integers(0, 8), st.sampled_from(sorted(BAD)))
def test_a_bad_record_is_found_among_any_others(log, place, bad):
    for seq, record in enumerate(log, 1):
        record.seq = seq
    lines = [encode(record) for record in log]
    place = 1 + place % (len(lines) - 1)
    lines[place] = bad.replace(b'"seq":2', b'"seq":%d' % (place + 1))
    found = decode_batch(b"\n".join(lines))
    assert [type(each) is Rejected for each in found] == [n == place for n in range(len(lines))]


def test_deep_and_large_data_are_told_apart():
    wide = line(1, data={"list": [{"a": n} for n in range(200)]})
    deep = line(2, data={"a": json.loads("[" * 70 + "]" * 70)})
    first, second = decode_batch(wide + b"\n" + deep)
    assert isinstance(first, Event)
    assert isinstance(second, Rejected)


def test_a_gap_inside_a_batch_is_refused_whole():
    with pytest.raises(InvalidInput) as caught:
        decode_batch(line(1) + b"\n" + line(3))
    assert (caught.value.code, caught.value.found, caught.value.expected) == ("not_contiguous", "3", "2")


def test_a_loss_record_bridges_a_gap():
    loss = encode(Loss(seq=4, time=1, first=2))
    assert len(decode_batch(b"\n".join([line(1), loss, line(5)]))) == 3


def test_a_first_line_without_a_number_refuses_the_batch():
    with pytest.raises(InvalidInput, match="seq"):
        decode_batch(encode({"time": 1, "type": "end"}))


def test_empty_lines_and_a_last_line_end_are_no_records():
    assert len(decode_batch(line(1) + b"\n\n" + line(2) + b"\n")) == 2


def test_too_many_records_are_refused():
    with pytest.raises(InvalidInput, match="10000 records"):
        decode_batch(b"\n" * (limits.MAX_RECORDS + 1))


def test_a_record_over_the_size_is_rejected_alone():
    large = line(2, message="x" * limits.MAX_RECORD_BYTES)
    assert decode_batch(b"\n".join([line(1), large, line(3)]))[1] == Rejected(
        2,
        "record_too_large",
        f"a record may weigh {limits.MAX_RECORD_BYTES} bytes, this one has {len(large)}",
    )


@given(st.binary(max_size=300))
def test_any_bytes_give_records_or_a_clear_error(body):
    with contextlib.suppress(InvalidInput):
        assert isinstance(decode_batch(body), list)
