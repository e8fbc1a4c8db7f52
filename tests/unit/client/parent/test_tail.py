from datacat.client.parent.tail import MAX_BYTES, MAX_LINES, Tail


def tail_of(*pieces: bytes) -> str:
    tail = Tail()
    for piece in pieces:
        tail.add(piece)
    return tail.text


def test_lines_that_come_in_pieces_are_put_together():
    assert tail_of(b"one\ntw", b"o\nthr", b"ee") == "one\ntwo\nthree"


def test_nothing_printed_is_an_empty_text():
    assert tail_of() == ""


def test_only_the_last_lines_are_kept():
    lines = [f"line {n}" for n in range(1000)]
    assert tail_of("\n".join(lines).encode()) == "\n".join(lines[-MAX_LINES:])


def test_a_line_that_was_cut_in_the_middle_is_left_out():
    text = tail_of(*[b"x" * 3000 + b"\n"] * 100)
    assert set(text) == {"x", "\n"}
    assert len(text.encode()) <= MAX_BYTES


def test_one_endless_line_keeps_its_end():
    assert tail_of(b"x" * 500_000, b"the end").endswith("xthe end")


def test_bytes_that_are_no_text_and_characters_cut_in_two_do_no_harm():
    assert tail_of(b"\xff\xfe ok\n") == "\ufffd\ufffd ok"
    assert len(tail_of("é".encode() * MAX_BYTES).encode()) <= MAX_BYTES


def test_colours_titles_and_overwritten_progress_are_not_kept():
    assert tail_of(b"\x1b]0;title\x07\x1b[1;31mred\x1b[0m\r\n", b" 1 %\r 99 %\r", b"done\n") == "red\ndone"
