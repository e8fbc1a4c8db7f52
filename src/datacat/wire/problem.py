"""Errors as HTTP answers: RFC 9457 ``application/problem+json``.

Every code is listed here once, with its status and its title; the code is what programs may rely
on, the sentences may change.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from datacat.model.errors import (
    Busy,
    HostRefused,
    InvalidInput,
    KeyForbids,
    KeyRefused,
    OriginRefused,
    RateLimited,
    SequenceGap,
    StoreError,
    StoreUnavailable,
    UnknownSession,
)

MEDIA_TYPE: Final = "application/problem+json"

CODES: Final[dict[str, tuple[int, str]]] = {
    "not_json": (400, "The body is not JSON"),
    "bad_utf8": (400, "The text is not UTF-8"),
    "bad_compression": (400, "The body cannot be decompressed"),
    "incomplete_body": (400, "The body is not whole"),
    "bad_host": (400, "The header Host names no host"),
    "key_missing": (401, "A key is needed"),
    "key_unknown": (401, "The key is not known"),
    "key_revoked": (401, "The key is revoked"),
    "key_forbids": (403, "The key is not good for this"),
    "host_refused": (403, "This service is not asked by that name"),
    "origin_refused": (403, "Pages of this origin may not record"),
    "unknown_session": (404, "No such session"),
    "unknown_path": (404, "No such path"),
    "method_not_allowed": (405, "The path does not know this method"),
    "too_slow": (408, "The request did not arrive in time"),
    "sequence_gap": (409, "Records are missing"),
    "body_too_large": (413, "The body is too large"),
    "decoded_too_large": (413, "The decompressed body is too large"),
    "record_too_large": (413, "A record is too large"),
    "too_many_records": (413, "Too many records in one request"),
    "state_too_large": (413, "The state would be too large"),
    "unknown_encoding": (415, "The content encoding is not known"),
    "not_object": (422, "Not a JSON object"),
    "wrong_type": (422, "A value has the wrong type"),
    "wrong_value": (422, "A value is not one of those known"),
    "unknown_parameter": (422, "A parameter is not known"),
    "missing_field": (422, "A field is missing"),
    "number_not_finite": (422, "A number is not finite"),
    "out_of_range": (422, "A number is out of range"),
    "too_deep": (422, "The nesting is too deep"),
    "too_long": (422, "A value is too long"),
    "too_short": (422, "A value is too short"),
    "bad_cursor": (422, "Not a place in a list"),
    "bad_timestamp": (422, "Not a timestamp"),
    "bad_pointer": (422, "Not a JSON Pointer"),
    "bad_id": (422, "Not a session id"),
    "ambiguous_id": (422, "Several sessions begin so"),
    "unknown_origin": (422, "The origin is not known"),
    "unknown_type": (422, "The record type is not known"),
    "not_contiguous": (422, "The numbers of a batch leave a gap or go back"),
    "rate_limited": (429, "Too many records a second"),
    "internal_error": (500, "The server made a mistake"),
    "store_error": (500, "The database refused"),
    "busy": (503, "The server is busy"),
    "store_unavailable": (503, "The database is not available"),
}


class Problem(Struct, omit_defaults=True, kw_only=True):
    """RFC 9457 members, and ours: ``code``, ``field``, ``found``, ``expected``, ``last_seq``."""

    title: str
    status: int
    detail: str
    code: str
    type: str = "about:blank"
    field: str = ""
    found: str = ""
    expected: str = ""
    last_seq: int | None = None

    def body(self) -> bytes:
        """The JSON to answer with; ``field``, ``found`` and ``expected`` are left out when empty."""
        return msgspec.json.encode(self)


def problem(code: str, detail: str, **members: Any) -> Problem:
    """The problem of a code that is in :data:`CODES`."""
    status, title = CODES[code]
    return Problem(title=title, status=status, detail=detail, code=code, **members)


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:
    """How an error of ours is answered: the problem and the headers that go with it."""
    match error:
        case InvalidInput():
            return (
                problem(
                    error.code, error.detail, field=error.field, found=error.found, expected=error.expected
                ),
                {},
            )
        case UnknownSession():
            return problem("unknown_session", str(error), field="id", found=error.session_id), {}
        case SequenceGap():
            return (
                problem(
                    "sequence_gap",
                    str(error),
                    field="seq",
                    found=str(error.first_seq),
                    expected=str(error.last_seq + 1),
                    last_seq=error.last_seq,
                ),
                {},
            )
        case KeyRefused():
            return problem(error.code, str(error), field="Authorization"), {
                "WWW-Authenticate": 'Bearer realm="datacat"'
                if error.code == "key_missing"
                else 'Bearer realm="datacat", error="invalid_token"'
            }
        case KeyForbids():
            return problem("key_forbids", str(error), field="Authorization"), {}
        case HostRefused():
            return problem("host_refused", str(error), field="Host", found=error.host[:200]), {}
        case OriginRefused():
            return problem("origin_refused", str(error), field="Origin", found=error.origin[:100]), {}
        case RateLimited():
            return problem("rate_limited", str(error)), {"Retry-After": str(error.retry_after)}
        case Busy():
            return problem("busy", str(error)), {"Retry-After": str(error.retry_after)}
        case StoreUnavailable():
            return problem("store_unavailable", str(error)), {"Retry-After": "5"}
        case StoreError():
            return problem("store_error", str(error)), {}
        case _:
            return problem("internal_error", "the server failed on this request; its log says more"), {}
