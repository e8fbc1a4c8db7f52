"""Markdown's tables, and how values are written in them."""

import inspect
import re
from collections.abc import Iterable, Sequence


class Undescribed(ValueError):
    """Something of the code has no words for whoever reads about it; says what, and where they belong."""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""A table.

    >>> print(table(["name", "meaning"], [["a", "one|two"], ["b", "three\nfour"]]))
    | name | meaning |
    | --- | --- |
    | a | one\|two |
    | b | three four |
    """
    lines = [list(headings), ["---"] * len(headings), *(list(map(cell, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(text: str) -> str:
    """Text as it may stand in a table."""
    return " ".join(text.split()).replace("|", "\\|")


def code(value: object) -> str:
    """A value as code.

    >>> code("a.db"), code(8080), code(""), code(None), code("a`b")
    ('`a.db`', '`8080`', '', '', '`` a`b ``')
    """
    text = "" if value is None else str(value)
    if not text:
        return ""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def plain(text: str) -> str:
    r"""A docstring's text as Markdown: no reStructuredText's roles, and no HTML.

    >>> plain("see :func:`datacat.create_session`, or ``end()``, or DATACAT_<NAME>")
    'see `datacat.create_session`, or `end()`, or DATACAT_\\<NAME>'
    """
    parts = re.sub(r":[a-z:]+:(?=`)", "", text).replace("``", "`").split("`")
    return "`".join(part if index % 2 else part.replace("<", "\\<") for index, part in enumerate(parts))


def number(value: float) -> str:
    """A number for people.

    >>> number(10000), number(315360000.0), number(0.5)
    ('10,000', '315,360,000', '0.5')
    """
    return f"{int(value) if value == int(value) else value:,}"


def described(words: str | None, what: str, where: str) -> str:
    """``words``, which must be there.

    Raises:
        Undescribed: there are none.
    """
    if not words or not words.strip():
        raise Undescribed(f"{what} has no description: write one {where}")
    return plain(inspect.cleandoc(words))
