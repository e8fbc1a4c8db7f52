"""A request's body, read no further than the limit and opened."""

import asyncio
from typing import Any, Final

from litestar import Request
from litestar.exceptions import InternalServerException

from datacat.ingest.decompress import decompress
from datacat.model.errors import InvalidInput
from datacat.model.limits import MAX_BODY_BYTES

_LARGE: Final = 128 * 1024
"""From this size on, in bytes, a compressed body is opened beside the event loop, not in it."""


async def read_body(request: Request[Any, Any, Any]) -> bytes:
    """The body without its content encoding.

    Raises:
        InvalidInput: ``body_too_large``, ``incomplete_body`` when the client has gone, or what :func:`datacat.ingest.decompress.decompress` raises.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise _too_large(announced)
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in request.stream():
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY_BYTES:
                raise _too_large(f"more than {MAX_BODY_BYTES}")
    except (
        InternalServerException
    ):  # the framework's word for a client that has gone, which is no mistake of ours
        raise InvalidInput("incomplete_body", "the connection was closed before the body was whole") from None
    body = b"".join(pieces)
    encoding = request.headers.get("content-encoding", "")
    if encoding and size > _LARGE:
        return await asyncio.to_thread(decompress, body, encoding)
    return decompress(body, encoding)


def _too_large(found: str) -> InvalidInput:
    return InvalidInput(
        "body_too_large",
        f"a body may weigh {MAX_BODY_BYTES} bytes: send less at once, or compress it",
        found=f"{found} bytes",
        expected=f"at most {MAX_BODY_BYTES} bytes",
    )
