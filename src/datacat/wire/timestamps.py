"""Moments as people and programs write them, to microseconds since the epoch and back."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from datacat.model.errors import InvalidInput
from datacat.model.limits import MAX_TIME

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def rfc3339(microseconds: int) -> str:
    """RFC 3339 in UTC, always with six digits after the second.

    >>> rfc3339(1732380000123456)
    '2024-11-23T16:40:00.123456Z'
    """
    minutes, rest = divmod(microseconds, 60_000_000)
    digits = str(rest + 100_000_000)  # cutting these takes half as long as formatting two numbers
    return f"{_minute(minutes)}{digits[1:3]}.{digits[3:]}Z"


@lru_cache(maxsize=4_000)
def _minute(minutes: int) -> str:
    """Up to the seconds. A page of rows has few minutes; to make one takes several times as long as all the rest."""
    return (_EPOCH + timedelta(minutes=minutes)).isoformat()[:17]


def parse_timestamp(value: str | int, *, field: str = "timestamp") -> int:
    """Microseconds since the epoch, from RFC 3339 text or from the number itself.

    >>> parse_timestamp("2024-11-23T17:40:00.123456+01:00")
    1732380000123456

    Raises:
        InvalidInput: code ``bad_timestamp`` when it is neither, or before 1970 or after 9999.
    """
    if isinstance(value, int):
        moment = value
    else:
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            raise _bad_timestamp(field, value) from None
        if parsed.tzinfo is None or len(value) < len("2024-11-23T16:40:00Z"):
            raise _bad_timestamp(field, value)
        moment = (parsed - _EPOCH) // _MICROSECOND
    if not 0 <= moment <= MAX_TIME:
        raise _bad_timestamp(field, value)
    return moment


def parse_moment(text: str, *, field: str) -> int:
    """Microseconds since the epoch, from what programs write into a query: the number's size tells its unit.

    Seconds reach 10^11 in the year 5138 and milliseconds 10^14 then, so all years that anybody asks
    for, from 1973 on, can be told apart.

    >>> parse_moment("1732380000", field="from") == parse_moment("1732380000000", field="from")
    True

    Raises:
        InvalidInput: code ``bad_timestamp``, as :func:`parse_timestamp`.
    """
    if text.isascii() and text.isdigit() and len(text) < 20:
        number = int(text)
        return parse_timestamp(
            number * (1_000_000 if number < 10**11 else 1_000 if number < 10**14 else 1), field=field
        )
    # A plus that nobody encoded has become a space on its way.
    return parse_timestamp(text.replace(" ", "+"), field=field)


def _bad_timestamp(field: str, value: str | int) -> InvalidInput:
    return InvalidInput(
        "bad_timestamp",
        f"{field} must be RFC 3339 with an offset (2024-11-23T16:40:00.123456Z) "
        "or whole microseconds since 1970-01-01 UTC (in a query also milliseconds or seconds)",
        field=field,
        found=repr(value)[:80],
        expected="RFC 3339 or epoch microseconds, from 1970 to 9999",
    )
