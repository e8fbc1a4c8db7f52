import msgspec
import pytest

from datacat.model.errors import InvalidInput
from datacat.model.records import Metric
from datacat.wire.codec import decode


class Named(msgspec.Struct):
    name: str
    data: msgspec.Raw = msgspec.Raw()


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
        decode(body, Named)
    assert caught.value.found.startswith(found)


def test_an_error_names_the_field_what_was_found_and_what_was_expected():
    with pytest.raises(InvalidInput) as caught:
        decode(b'{"seq":1,"time":1,"type":"metric","name":"m","value":1,"tags":["a",7]}', Metric)
    assert (caught.value.field, caught.value.found, caught.value.expected) == ("tags[1]", "a number 7", "str")


@pytest.mark.parametrize(
    ("text", "half"),
    [
        (rb"\ud800", r"\ud800"),
        (rb"a\uDC00b", r"\uDC00"),
        (rb"\ud83d\ude00 \\ \ud83d", r"\ud83d"),
        (rb"\ud83d\ud83d\ude00", r"\ud83d"),
    ],
)
def test_half_of_a_character_is_told_wherever_it_stands(text, half):
    with pytest.raises(InvalidInput, match="half of a character") as caught:
        decode(b'{"name":"' + text + b'"}', Named)
    assert (caught.value.code, caught.value.found) == ("not_json", half)


def test_a_body_that_is_cut_short_is_told_as_that_whatever_is_escaped_in_it():
    with pytest.raises(InvalidInput, match="truncated"):
        decode(rb'{"name":"\ud83d\ude00 \\ud800', Named)
