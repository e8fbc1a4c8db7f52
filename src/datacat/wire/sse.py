"""Server-sent events, as https://html.spec.whatwg.org/multipage/server-sent-events.html has them; pure.

What must hold: the parser gives the same messages wherever the bytes are cut into pieces.
"""

import re
from typing import Final

from msgspec import Struct

MEDIA_TYPE: Final = "text/event-stream"

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class Message(Struct, frozen=True):
    """One message as it is dispatched; ``id`` is the last one that was told, by this message or one before."""

    event: str
    data: str
    id: str


def message(event: str, data: bytes, id_: str) -> bytes:
    r"""One message as it travels.

    >>> message("event", b'{"name":"saved"}', "7")
    b'id: 7\nevent: event\ndata: {"name":"saved"}\n\n'

    Data of several lines travels as several lines:

    >>> message("event", b'{\r\n}', "7")
    b'id: 7\nevent: event\ndata: {\ndata: }\n\n'
    """
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_END.split(data))
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (id_.encode(), event.encode(), data)


def heartbeat(id_: str) -> bytes:
    r"""A sign of life that dispatches nothing, and tells the place from which to go on.

    >>> heartbeat("7")
    b':\nid: 7\n\n'
    """
    return b":\nid: %b\n\n" % id_.encode()


def retry(milliseconds: int) -> bytes:
    """How long to wait before connecting again."""
    return b"retry: %d\n\n" % milliseconds


class Parser:
    """Bytes as they come, messages as they are whole; what is not whole at the end of a stream is none.

    ``last_id`` is where to go on after the stream has ended, ``retry`` how many milliseconds later; None where
    nothing was said.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry: int | None = None
        self._rest = b""
        self._first_line = True
        self._after_return = False
        self._event = ""
        self._data: list[str] = []
        self._id = last_id

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that ``chunk`` makes whole."""
        if not chunk:
            return []
        if self._after_return:
            # The other half of a line's end that was cut in two.
            chunk = chunk.removeprefix(b"\n")
        self._after_return = chunk.endswith(b"\r")
        *lines, self._rest = _LINE_END.split(self._rest + chunk)
        return [found for line in lines if (found := self._line(line)) is not None]

    def _line(self, line: bytes) -> Message | None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value)
        return None

    def _dispatch(self) -> Message | None:
        self.last_id = self._id
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return Message(event, "\n".join(data), self.last_id) if data else None
