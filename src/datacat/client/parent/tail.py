"""The last lines of what a program printed, as a person saw them."""

from typing import Final

from datacat.model.terminal import ESCAPES

MAX_LINES: Final = 50
MAX_BYTES: Final = 16 * 1024

_RAW_BYTES: Final = 4 * MAX_BYTES
"""What is kept before it is made readable: colours, and bars of progress that overwrite themselves, shrink."""


class Tail:
    r"""A ring of bytes.

    >>> tail = Tail()
    >>> tail.add(b"10 %\r50 %\r\x1b[31mno space left\x1b[0m\n")
    >>> tail.text
    'no space left'
    """

    def __init__(self) -> None:
        self._bytes = b""
        self._cut = False

    def add(self, data: bytes) -> None:
        """Go on with ``data``."""
        whole = self._bytes + data
        self._cut = self._cut or len(whole) > _RAW_BYTES
        self._bytes = whole[-_RAW_BYTES:]

    @property
    def text(self) -> str:
        """At most the last :data:`MAX_LINES` lines, and :data:`MAX_BYTES` of UTF-8."""
        lines = self._bytes.decode("utf-8", "replace").rstrip("\r\n").split("\n")
        if self._cut and len(lines) > 1:
            del lines[0]
        shown = [ESCAPES.sub("", line).rstrip("\r").rpartition("\r")[2] for line in lines[-MAX_LINES:]]
        return "\n".join(shown).encode()[-MAX_BYTES:].decode("utf-8", "ignore")
