"""What counts as a word when somebody searches: pure."""

import re
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_LENGTHS: Final = range(2, 41)
_LONGEST_NUMBER: Final = 5
"""Longer numbers are moments and counters: there is no end of them, and nobody looks for one."""


def words(*texts: str | None) -> frozenset[str]:
    """The words of texts: letters and digits together, whatever their case.

    >>> sorted(words("Cannot open C:/data/a_1.txt: error 404", None, "at 1732380000123456"))
    ['404', 'at', 'cannot', 'data', 'error', 'open', 'txt']
    """
    return frozenset(
        word
        for text in texts
        if text
        for word in _WORD.findall(text.casefold())
        if len(word) in _LENGTHS and not (len(word) > _LONGEST_NUMBER and word.isdigit())
    )
