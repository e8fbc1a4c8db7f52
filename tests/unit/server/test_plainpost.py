import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacat.server.plainpost import MAX_HEAD_BYTES, MAX_PLAIN_BODY_BYTES, PlainPost, recognise

ID = "01934f5e-0000-7000-8000-0000000000ff"
FIRST = b"POST /api/sessions/%b/events HTTP/1.1" % ID.encode()


def head(*lines, first=FIRST):
    return b"\r\n".join([first, *lines, b"", b""])


def test_a_plain_head_says_what_is_posted():
    assert recognise(
        head(
            b"Host: localhost:8080",
            b"content-TYPE: application/x-ndjson; charset=utf-8",
            b"Datacat-Origin: watchdog",
            b"Content-Length:17",
            first=FIRST.replace(b"ff/events", b"FF/records"),
        )
    ) == PlainPost((ID, "records", None), 17, "application/x-ndjson; charset=utf-8", "watchdog")


def test_what_is_not_said_is_as_on_the_ordinary_road():
    assert recognise(head(b"Content-Length: 0")) == PlainPost((ID, "events", None), 0, "", "app")


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"Content-Length: -1"],
        [b"Content-Length: 1,1"],
        [b"Content-Length: 01"],
        [b"Content-Length: 1 "],
        [b"Content-Length:  1"],
        [b"Content-Length:\t1"],
        [b"Content-Length: 1", b"Content-Length: 1"],
        [b"Content-Length: 1", b"content-length: 2"],
        [b"Content-Length: %d" % (MAX_PLAIN_BODY_BYTES + 1)],
        [b"Content-Length: 1", b"Transfer-Encoding: chunked"],
        [b"Content-Length: 1", b"Transfer-Encoding: identity"],
        [b"Content-Length: 1", b"Connection: close"],
        [b"Content-Length: 1", b"Connection: keep-alive, Upgrade"],
        [b"Content-Length: 1", b"Content-Encoding: gzip"],
        [b"Content-Length: 1", b"Expect: 100-continue"],
        [b"Content-Length: 1", b"Origin: http://x"],
        [b"Content-Length: 1", b"X-Unknown: 1"],
        [b"Content-Length: 1", b"Host: a", b"Host: b"],
        [b"Content-Length: 1", b"Host: a b"],
        [b"Content-Length: 1", b"User-Agent: a", b" b"],
        [b"Content-Length: 1", b"User-Agent: a\nHost: b"],
        [b"Content-Length: 1", b"User-Agent: a\rHost: b"],
        [b"Content-Length: 1", b"User-Agent: \xe4"],
        [b"Content-Length: 1", b"User-Agent:"],
        [b"Content-Length: 1", b"User-Agent"],
        [b"Content-Length : 1"],
        [b"Content-Length: 1", b"User-Agent: " + b"x" * MAX_HEAD_BYTES],
    ],
)
def test_whatever_is_unusual_is_not_recognised(lines):
    assert recognise(head(*lines)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"POST", b"post"),
        (b"POST", b"PUT"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"/events", b"/events/"),
        (b"/events", b"/events?a=b"),
        (b"/events", b"/end"),
        (b"/events", b"/%65vents"),
        (b"/api", b"//api"),
        (b"/api", b"http://x/api"),
        (b" /api", b"  /api"),
        (b"01934f5e-", b"01934f5e"),
        (b"01934f5e", b"{1934f5e"),
    ],
)
def test_only_the_known_paths_are_recognised(old, new):
    assert recognise(head(b"Content-Length: 1", first=FIRST.replace(old, new))) is None


PLAIN = head(b"Host: localhost", b"Content-Type: application/json", b"Content-Length: 12")


@given(
    st.integers(0, len(PLAIN) - 1), st.sampled_from([b"\r", b"\n", b"\0", b" ", b"\t", b":", b"\x80", b""])
)
def test_a_byte_out_of_place_changes_no_length(place, byte):
    post = recognise(PLAIN[:place] + byte + PLAIN[place + 1 :])
    # A digit of the length may go, and a header that means nothing here may have another value.
    assert post is None or post.length == 12 or PLAIN[place : place + 1] in b"12"
