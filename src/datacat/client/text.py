"""What the program's own objects say of themselves: asking them may raise anything, and here it does not."""

from collections.abc import Callable
from typing import Any


def text_of(value: object, say: Callable[[Any], str] = str) -> str:
    """``say(value)``; where that raises, words that name its type. Raises nothing.

    Only what is no ``Exception`` goes its way: Ctrl-C, and a signal handler that leaves, are not the object's.

    >>> text_of(3), text_of("a", repr)
    ('3', "'a'")
    """
    try:
        return str.__str__(say(value))  # of a subclass its characters, without its methods
    except Exception:  # noqa: BLE001  # see above
        return f"{type.__repr__(type(value))}, which cannot say what it is"
