"""Lengths of time as people write them."""

import re
from typing import Final

_PERIOD: Final = re.compile(r"([0-9]{1,9})\s*([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def parse_period(text: str) -> int | None:
    """A number and s, m, h, d or w behind it, in seconds; None for anything else.

    >>> parse_period("30d")
    2592000
    >>> parse_period("tomorrow")
    """
    match = _PERIOD.fullmatch(text.strip())
    return None if match is None else int(match[1]) * _SECONDS[match[2]]
