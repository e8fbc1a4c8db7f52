"""The limits, from ``datacat.model.limits``."""

from collections.abc import Iterable

from docs.generate.markdown import code, described, number, table
from docs.generate.source import Constant, constants

from datacat.model import limits


def render(table_of_limits: Iterable[Constant]) -> str:
    """A row for each limit."""
    return table(
        ["limit", "most", "of what"],
        (
            (code(each.name), amount(each.name, each.value), described(each.words, each.name, "below it"))
            for each in table_of_limits
        ),
    )


def amount(name: str, value: float) -> str:
    """A limit's value for people.

    >>> amount("MAX_BODY_BYTES", 8 * 1024 * 1024), amount("MAX_TAGS", 64), amount("MAX_SEQ", 2**53 - 1)
    ('8 MiB', '64', '9,007,199,254,740,991')
    """
    if name.endswith("_BYTES"):
        for unit, size in (("MiB", 1024 * 1024), ("KiB", 1024)):
            if value % size == 0:
                return f"{number(value // size)} {unit}"
        return f"{number(value)} bytes"
    return number(value)


def generate() -> str:
    """Of the limits that hold."""
    return render(constants(limits))
