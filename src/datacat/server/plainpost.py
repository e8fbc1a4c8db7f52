"""Which requests are so plain that their heads can be read at a glance: pure, on bytes.

What must hold: whatever is recognised here means the same to the ordinary parser, so that where a
request ends is never a matter of opinion. So this is a list of what is known to be harmless, and
everything else, however common, is not recognised: another method or path, a query, an escape, a
header that is not on the list or stands there twice, a strange host, a line folded or not ended by CR LF, any
framing but a single Content-Length, an encoding, an upgrade, an expectation, an origin.
"""

import re
from typing import Final, Literal, cast

from msgspec import Struct

from datacat.ingest.admit import Single
from datacat.model.ids import parse_session_id

Action = Single | Literal["state", "records"]

MAX_HEAD_BYTES: Final = 2 * 1024
"""A longer head is not plain."""

MAX_PLAIN_BODY_BYTES: Final = 256 * 1024
"""Nor is a body that is longer: beside its own weight, what the ordinary road costs is nothing."""

END: Final = b"\r\n\r\n"

_BEGIN: Final = b"POST /api/sessions/"

_REQUEST: Final = re.compile(
    rb"POST /api/sessions/([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})"
    rb"/(events|metrics|state|heartbeat|records) HTTP/1\.1"
)
_HEADER: Final = re.compile(rb"([A-Za-z-]+):[ ]?([!-~](?:[ -~]*[!-~])?)")
_HOST: Final = re.compile(rb"[0-9A-Za-z._\-:\[\]]*")
_LENGTH: Final = re.compile(rb"0|[1-9][0-9]{0,6}")

_TELLING: Final = frozenset(
    {b"content-length", b"content-type", b"datacat-origin", b"connection", b"authorization"}
)
_HARMLESS: Final = frozenset(
    {
        b"host",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"pragma",
        b"via",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"x-request-id",
        b"traceparent",
        b"tracestate",
    }
)
"""They change nothing in what is recorded or answered."""


Target = tuple[str, Action, str | None]
"""What is recorded where, and by whom: a session's id, what is called, and the authorization shown."""


class PlainPost(Struct, frozen=True, gc=False):
    """What a plain head says; ``length`` is the body's, in bytes."""

    target: Target
    length: int
    content_type: str
    origin: str


def may_become_plain(begun: bytes) -> bool:
    """Whether a head that has not arrived whole may turn out to be plain.

    >>> may_become_plain(b"POST /api/ses"), may_become_plain(b"GET /api/ses")
    (True, False)
    """
    return len(begun) < MAX_HEAD_BYTES and (begun.startswith(_BEGIN) or _BEGIN.startswith(begun))


def recognise(head: bytes) -> PlainPost | None:
    r"""The request of this head, which ends with an empty line; None when it is not a plain one.

    >>> id = b"01934f5e-0000-7000-8000-000000000001"
    >>> recognise(b"POST /api/sessions/%b/events HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n" % id).length
    12
    >>> recognise(b"POST /api/sessions/%b/events HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" % id)
    """
    if len(head) > MAX_HEAD_BYTES or not head.endswith(END):
        return None
    first, *lines = head[: -len(END)].split(b"\r\n")
    request = _REQUEST.fullmatch(first)
    if request is None:
        return None
    headers: dict[bytes, bytes] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            return None
        name = header[1].lower()
        if name in headers or not (name in _TELLING or name in _HARMLESS):
            return None
        headers[name] = header[2]
    length = headers.get(b"content-length", b"")
    if _LENGTH.fullmatch(length) is None or int(length) > MAX_PLAIN_BODY_BYTES:
        return None
    if _HOST.fullmatch(headers.get(b"host", b"")) is None:
        return None
    if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return PlainPost(
        target=(
            parse_session_id(request[1].decode()),
            cast("Action", request[2].decode()),
            headers[b"authorization"].decode() if b"authorization" in headers else None,
        ),
        length=int(length),
        content_type=headers.get(b"content-type", b"").decode(),
        origin=headers.get(b"datacat-origin", b"app").decode(),
    )
