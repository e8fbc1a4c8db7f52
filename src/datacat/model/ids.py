"""Session ids: UUIDs, version 7 when we make them, so that they sort by when they were made."""

import os
import time
import uuid
from typing import Final

from datacat.model.errors import InvalidInput

DIGITS: Final = 32
"""Hexadecimal digits of an id, without its hyphens."""


def new_session_id() -> str:
    """A fresh UUID version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    value = (milliseconds & (2**48 - 1)) << 80
    value |= 0x7 << 76
    value |= (random >> 62 & 0xFFF) << 64
    value |= 0b10 << 62
    value |= random & (2**62 - 1)
    return str(uuid.UUID(int=value))


def parse_session_id(text: str, *, field: str = "id") -> str:
    """The id in its canonical form (lower case, with hyphens).

    Raises:
        InvalidInput: code ``bad_id`` when it is not a UUID.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidInput(
            "bad_id",
            f"{field} must be a UUID such as 0190b5a0-7a5b-7cc4-8f6e-3d1c5b2a9e10; leave it out to be given one",
            field=field,
            found=repr(text[:80]),
            expected="a UUID",
        ) from None
