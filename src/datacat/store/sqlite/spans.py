"""Time cut into the spans that sums are kept for: pure."""

from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """From ``since`` on, before ``until``; ``length`` is that of the sums which cover it whole, 0 where none do."""

    length: int
    since: int
    until: int


def cut(since: int, until: int, lengths: Sequence[int]) -> list[Span]:
    """What covers the time from ``since`` to ``until`` exactly: long spans within, shorter ones at the edges.

    Args:
        since: the first moment.
        until: the first moment that no longer belongs to it.
        lengths: of the spans, shortest first; each divides the next.

    >>> cut(5, 47, (10, 20))
    [Span(length=0, since=5, until=10), Span(length=10, since=10, until=20), Span(length=20, since=20, until=40), \
Span(length=0, since=40, until=47)]
    """
    if since >= until:
        return []
    if not lengths:
        return [Span(0, since, until)]
    *shorter, length = lengths
    first, last = -(-since // length) * length, until // length * length
    if first >= last:
        return cut(since, until, shorter)
    return [*cut(since, first, shorter), Span(length, first, last), *cut(last, until, shorter)]
