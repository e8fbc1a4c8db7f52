"""What is kept, and for how long; pure."""

import re
from typing import Final

from msgspec import Struct

from datacat.model.errors import ConfigurationError
from datacat.model.periods import parse_period

# A bare number is none: 20 is meant as gigabytes, and as bytes would give up every session.
_SIZE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(?:([kKMGT]i?)B?|B)")
_BYTES: Final = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    f"{prefix}i": 1024**power for power, prefix in enumerate("KMGT", 1)
}


class Retention(Struct, frozen=True, kw_only=True):
    """How long sessions are kept after anything was last heard of them, in seconds; None for ever.

    ``products`` is for those named, ``others`` for all that are not. ``most_bytes``: what the database may hold;
    above that the sessions that began first are given up, but none that runs.
    """

    others: int | None = None
    products: dict[str, int] = {}
    most_bytes: int | None = None

    def before(self, product: str | None, now: int) -> int | None:
        """Sessions of this product that were last heard of before that moment may go; None where none may.

        >>> Retention(others=60, products={"editor": 120}).before("editor", 500_000_000)
        380000000
        """
        kept = self.others if product is None else self.products.get(product, self.others)
        return None if kept is None else max(0, now - kept * 1_000_000)

    @property
    def shortest(self) -> int | None:
        """The shortest of the periods, in seconds; None where there is none."""
        periods = [*self.products.values(), *([] if self.others is None else [self.others])]
        return min(periods, default=None)


def retention(retain: str, per_product: str, max_size: str) -> Retention:
    """As the settings of these names say it; what is empty keeps for ever, and any amount.

    >>> retention("30d", "editor=90d, ci=12h", "20GiB")
    Retention(others=2592000, products={'editor': 7776000, 'ci': 43200}, most_bytes=21474836480)

    Raises:
        ConfigurationError: with the setting's name, and how it is written.
    """
    products: dict[str, int] = {}
    for each in per_product.split(","):
        if not each.strip():
            continue
        product, equals, period = each.rpartition("=")
        if not equals or not product.strip():
            raise ConfigurationError(
                f"retain_per_product is written PRODUCT=PERIOD, with commas between several; found {each.strip()!r}"
            )
        if (named := product.strip()) in products:
            raise ConfigurationError(
                f"retain_per_product names {named!r} twice: say once how long it is kept"
            )
        products[named] = _period("retain_per_product", period)
    return Retention(
        others=_period("retain", retain) if retain.strip() else None,
        products=products,
        most_bytes=_bytes("max_size", max_size) if max_size.strip() else None,
    )


def _period(setting: str, text: str) -> int:
    seconds = parse_period(text)
    if not seconds:
        raise ConfigurationError(
            f"{setting} is a period, a number and s, m, h, d or w behind it, as 30d; found {text.strip()!r}"
        )
    return seconds


def _bytes(setting: str, text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise ConfigurationError(
            f"{setting} is a size, a number and MB, GB, MiB, GiB behind it, as 20GiB; found {text.strip()!r}"
        )
    return int(float(match[1]) * _BYTES[match[2] or ""])
