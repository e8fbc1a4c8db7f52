import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacat.wire.sse import Message, Parser, heartbeat, message, retry

# The examples of the specification, section 9.2.6, and what its text says beside them.
EXAMPLES = [
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", [Message("message", "YHOO\n+2\n10", "")]),
    (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        [Message("message", "first event", "1"), Message("message", "second event", ""),
         Message("message", " third event", "")],
    ),
    (b"data\n\ndata\ndata\n\ndata:", [Message("message", "", ""), Message("message", "\n", "")]),
    (b"data:test\n\ndata: test\n\n", [Message("message", "test", "")] * 2),
    (b"\xef\xbb\xbfdata: marked\n\n", [Message("message", "marked", "")]),
    (b"data: a\r\ndata: b\rdata: c\r\r", [Message("message", "a\nb\nc", "")]),
    (b"event: one\n\ndata: no longer one\n\n", [Message("message", "no longer one", "")]),
    (b"id: 7\n\ndata: x\n\n", [Message("message", "x", "7")]),
    (b"id: 7\ndata: x\n\nid: 8\x00\ndata: y\n\n", [Message("message", "x", "7"), Message("message", "y", "7")]),
    (b"strange: field\nno field at all\ndata: x\n\n", [Message("message", "x", "")]),
    (b"data: a broken \xff letter\n\n", [Message("message", "a broken � letter", "")]),
    (b"data: never ended\n", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "messages"), EXAMPLES)
def test_a_stream_is_read_as_the_specification_says(text, messages):
    assert Parser().feed(text) == messages


@given(
    st.lists(st.sampled_from([text for text, _ in EXAMPLES])),
    st.lists(st.integers(0, 400)),
)
def test_where_the_bytes_are_cut_does_not_matter(texts, cuts):
    text = b"\n\n".join(texts)
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    whole, cut = Parser(), Parser()
    pieces = [text[first:last] for first, last in itertools.pairwise(places)]
    assert [each for piece in pieces for each in cut.feed(piece)] == whole.feed(text)
    assert (cut.last_id, cut.retry) == (whole.last_id, whole.retry)


@given(st.binary(), st.lists(st.integers(0, 100)))
def test_no_bytes_break_the_parser_and_none_of_the_cuts_matter(text, cuts):
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    whole, cut = Parser(), Parser()
    pieces = [text[first:last] for first, last in itertools.pairwise(places)]
    assert [each for piece in pieces for each in cut.feed(piece)] == whole.feed(text)


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: "\0" not in text))
def test_what_is_written_is_what_is_read(text):
    (found,) = Parser().feed(message("event", text.encode(), "e1.m2.c3"))
    # Whatever ends a line becomes the one line end that there is.
    assert found == Message("event", text.replace("\r\n", "\n").replace("\r", "\n"), "e1.m2.c3")


def test_a_heartbeat_dispatches_nothing_and_moves_the_place():
    parser = Parser("6")
    assert parser.feed(heartbeat("7")) == []
    assert parser.last_id == "7"


def test_a_message_that_was_cut_off_moves_no_place():
    parser = Parser("6")
    assert parser.feed(message("event", b"{}", "7")[:-1]) == []
    assert parser.last_id == "6"


def test_a_retry_is_whole_milliseconds_or_not_heard():
    parser = Parser()
    parser.feed(b"retry: 1.5\n\nretry: -1\n\n")
    assert parser.retry is None
    parser.feed(retry(1500))
    assert parser.retry == 1500
