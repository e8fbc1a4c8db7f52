"""How the commands print a line, into a file and at a terminal."""

import io

import pytest
from rich.console import Console

from datacat.cli.service import safe, say

LINE = "[red]crashed[/]: killed while hung in acquire_the_shared_lock (data.py:9)"
WHOLE = "crashed: killed while hung in acquire_the_shared_lock (data.py:9)"


def printed(line, **options):
    output = io.StringIO()
    say(Console(file=output, color_system=None, width=40, **options), line)
    return output.getvalue().splitlines()


def test_what_a_terminal_has_no_room_for_goes_on_below_between_words_and_further_in():
    assert printed(LINE, force_terminal=True) == [
        "crashed: killed while hung in",
        "        acquire_the_shared_lock",
        "        (data.py:9)",
    ]


def test_a_word_that_is_longer_than_the_terminal_loses_nothing():
    assert "".join(line.strip() for line in printed("x" * 100, force_terminal=True)) == "x" * 100


def test_into_a_file_a_line_goes_whole():
    assert printed(LINE) == [WHOLE]


@pytest.mark.parametrize("text", ["👩\u200d👩\u200d👧", "می\u200cشد", "東京\u3000大阪", "12\u00a0000"])
def test_what_joins_letters_and_what_parts_words_is_printed_as_it_was_recorded(text):
    assert safe(text) == text


@pytest.mark.parametrize("sign", ["\x1b", "\r", "\n", "\u202e", "\u2028", "\u2066"])
def test_what_would_speak_to_the_terminal_or_turn_its_text_around_is_not(sign):
    assert safe(f"a{sign}b") == "a\N{REPLACEMENT CHARACTER}b"
