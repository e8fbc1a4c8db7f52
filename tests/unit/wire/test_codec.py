import msgspec
from hypothesis import given
from hypothesis import strategies as st

from datacat.model.errors import InvalidInput
from datacat.wire import codec


class Named(msgspec.Struct):
    name: str
    data: msgspec.Raw = msgspec.Raw()


NAMED = msgspec.json.Decoder(Named)


def alone(body):
    try:
        return codec.decode(body, Named)
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
    together = codec.decode_all(bodies, NAMED)
    assert [each if isinstance(each, Named) else str(each) for each in together] == [
        alone(body) for body in bodies
    ]
