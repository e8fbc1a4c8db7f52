"""Follows what happens, as it happens: connects again when the connection goes, and goes on where it was."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Final

import msgspec
import urllib3
from msgspec import Struct

from datacat.client.backoff import Backoff
from datacat.client.transport import reason_of
from datacat.model.errors import RequestFailed
from datacat.wire.sse import MEDIA_TYPE, Parser

_PIECE: Final = 65_536

_LONGEST_WAIT: Final = 5.0
"""Seconds between two tries: somebody is looking on."""

Connect = Callable[[Mapping[str, str]], urllib3.BaseHTTPResponse]
"""Asks for the stream, with these headers; raises RequestFailed."""


class LiveMessage(Struct, frozen=True):
    """One message of a stream.

    ``kind`` is what the service says (``session``, ``event``, ``metric``, ``state``, ``problem``, ``gap``, ``cut``), or what
    became of the connection: ``connected`` (``again``: whether it was there before) and ``disconnected`` (``reason``).
    ``id`` is where to go on.
    """

    kind: str
    data: dict[str, Any]
    id: str


def follow(
    connect: Connect, after: str | None, sleep: Callable[[float], None] = time.sleep
) -> Generator[LiveMessage, None, None]:
    """Messages for ever, from those behind ``after`` on.

    Raises:
        RequestFailed: the first connection cannot be had, or a later one is refused in a way that waiting does
            not mend.
    """
    parser = Parser(after or "")
    backoff = Backoff(longest=_LONGEST_WAIT)
    connected = lost = False
    while True:
        headers = {"Accept": MEDIA_TYPE}
        if parser.last_id:
            headers["Last-Event-ID"] = parser.last_id
        try:
            response = connect(headers)
        except RequestFailed as error:
            if not connected or (error.status is not None and error.status < 500):
                raise
            reason = str(error)
        else:
            yield LiveMessage("connected", {"again": connected}, parser.last_id)
            connected, lost = True, False
            parser = Parser(parser.last_id)
            reason = "the stream has ended"
            try:
                for piece in _pieces(response):
                    for message in parser.feed(piece):
                        backoff.succeeded()
                        data = msgspec.json.decode(message.data, type=dict[str, Any])
                        if message.event == "cut":
                            reason = str(data.get("detail", reason))
                        yield LiveMessage(message.event, data, message.id)
            except (urllib3.exceptions.HTTPError, OSError, msgspec.MsgspecError) as error:
                reason = f"the stream broke off: {reason_of(error) or error}"
            finally:
                response.close()
        if not lost:
            yield LiveMessage("disconnected", {"reason": reason}, parser.last_id)
            lost = True
        sleep(max(backoff.failed(), (parser.retry or 0) / 1_000))


def _pieces(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    while piece := response.read1(_PIECE):
        yield piece
