"""Compressed bodies, opened no further than the limit.

A bomb of a few kilobytes that would open to gigabytes costs the limit and no more: output is asked
for in bounded pieces, and the first byte too many ends it.
"""

import zlib
from collections.abc import Callable
from typing import Final

import zstandard

from datacat.model.errors import InvalidInput
from datacat.model.limits import MAX_DECODED_BYTES

_MAX_WINDOW: Final = 8 * 1024 * 1024
"""The memory a zstd frame may ask for, in bytes: what RFC 9659 asks of HTTP clients and servers."""

_PIECE: Final = 256 * 1024


def decompress(body: bytes, encoding: str, *, limit: int = MAX_DECODED_BYTES) -> bytes:
    """The body without its content encodings.

    Args:
        body: as it arrived.
        encoding: the ``Content-Encoding`` header; empty for none.
        limit: the most bytes to open it to.

    Raises:
        InvalidInput: ``unknown_encoding``, ``bad_compression`` or ``decoded_too_large``.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    opener = _OPENERS.get(name)
    if opener is None:
        raise InvalidInput(
            "unknown_encoding",
            f"Content-Encoding {encoding[:40]!r} is not known: send gzip, zstd or identity",
            field="Content-Encoding",
            found=encoding[:40],
            expected="gzip, zstd or identity",
        )
    try:
        return opener(body, limit)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise InvalidInput(
            "bad_compression",
            f"the body is not what Content-Encoding says: {error}",
            field="Content-Encoding",
            found=encoding,
            expected=f"a body compressed with {name}",
        ) from None


def _gunzip(body: bytes, limit: int) -> bytes:
    opened = bytearray()
    rest = body
    while rest:
        # A gzip body may have several members, one after the other (RFC 1952, section 2.2).
        member = zlib.decompressobj(wbits=31)
        opened += member.decompress(rest, limit + 1 - len(opened))
        if len(opened) > limit or member.unconsumed_tail:
            raise _too_large(limit)
        if not member.eof:
            raise EOFError("it ends in the middle")
        rest = member.unused_data
    return bytes(opened)


def _unzstd(body: bytes, limit: int) -> bytes:
    opener = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
    opened = bytearray()
    reader = opener.stream_reader(body, read_across_frames=True)
    while piece := reader.read(_PIECE):
        opened += piece
        if len(opened) > limit:
            raise _too_large(limit)
    if zstandard.frame_content_size(body) != len(opened):
        _check_whole(opener, body)
    return bytes(opened)


def _check_whole(opener: zstandard.ZstdDecompressor, body: bytes) -> None:
    """The stream reader takes a frame cut short for its end; the size is known to be harmless by now."""
    rest = body
    while rest:
        frame = opener.decompressobj()
        frame.decompress(rest)
        if not frame.eof:
            raise EOFError("it ends in the middle")
        rest = frame.unused_data


def _too_large(limit: int) -> InvalidInput:
    return InvalidInput(
        "decoded_too_large",
        f"the body opens to more than {limit} bytes: send fewer records in one request",
        expected=f"at most {limit} bytes",
    )


_OPENERS: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "zstd": _unzstd,
}
