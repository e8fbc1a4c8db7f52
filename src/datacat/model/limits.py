"""Every limit of the wire, in one place.

They live in the model because both the codec and the fold need them; a limit that is a
length or a range is enforced by msgspec while decoding, so it costs nothing extra.
"""

from typing import Final

MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""The most a request body may weigh as it arrives."""

MAX_DECODED_BYTES: Final = 64 * 1024 * 1024
"""The most a body may weigh once it is decompressed."""

MAX_DEPTH: Final = 64
"""The deepest nesting of objects and arrays in data or state."""

MAX_NAME_LENGTH: Final = 200
"""Characters in a name, a tag, a unit, a product, a version and their like."""

MAX_MESSAGE_LENGTH: Final = 65_536
"""Characters in an event's message."""

MAX_TAGS: Final = 64
"""Tags on one metric or one session."""

MAX_REMOVALS: Final = 1_000
"""JSON Pointers in one state change."""

MAX_STATE_BYTES: Final = 1024 * 1024
"""A session's state, as JSON."""

MAX_RECORD_BYTES: Final = 1024 * 1024
"""One record's line."""

MAX_RECORDS: Final = 10_000
"""Records in one request."""

MAX_EXIT_BYTES: Final = 128 * 1024
"""What is kept of how a program went, as JSON: what is longer is shortened, never refused."""

MAX_SEQ: Final = 2**53 - 1
"""The highest record number: what every JSON reader still holds exactly."""

MAX_TIME: Final = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z in microseconds: the last moment RFC 3339 can write."""

MAX_CONTACT_TIMEOUT: Final = 10 * 365 * 86_400.0
"""Seconds of silence that a session may announce."""
