"""uvicorn's connection, when what comes is no HTTP, or nothing comes any more.

uvicorn answers 400 to what is no HTTP, and closes at once. Who sent whole requests before would take
that for the answer to the first of them, and believe refused what is being committed. So those are
answered first. And nobody writes an answer to a connection that the other side has closed.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class OrderlyProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self._broken = False

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; behind requests that came whole, close after the answers to them."""
        cycle: RequestResponseCycle | None = self.cycle
        if self._broken:
            return
        if cycle is not None and not cycle.response_complete:
            if self.pipeline or not cycle.more_body:
                if cycle.more_body:
                    self.pipeline.popleft()
                self._broken = True
                self.flow.pause_reading()
                return
            cycle.disconnected = True
        super().send_400_response(msg)

    def eof_received(self) -> None:
        """The other side has closed, and the transport does the same."""
        if self.cycle is not None:
            self.cycle.disconnected = True

    def on_response_complete(self) -> None:
        """Go on with the next request, if there is to be one."""
        last = not self.pipeline
        super().on_response_complete()
        if self._broken and last:
            self.transport.close()
