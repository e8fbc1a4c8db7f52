"""How sure a rate is, given how few were counted."""

from math import sqrt
from typing import Final

_Z: Final = 1.959963984540054
"""The normal distribution's 97.5 % point: 95 % lie within."""


def wilson_interval(hits: int, total: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of ``hits`` out of ``total``; (0, 1) where nothing was counted.

    Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927). Unlike the normal one it stays within 0 and 1, and
    says something even of few sessions of which none crashed.

    >>> [round(bound, 4) for bound in wilson_interval(8, 10)]
    [0.4902, 0.9433]
    """
    if total == 0:
        return 0.0, 1.0
    rate, z2 = hits / total, _Z * _Z
    middle = (rate + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z * sqrt(rate * (1 - rate) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    high = 1.0 if hits == total else min(1.0, middle + half)
    return low, high
