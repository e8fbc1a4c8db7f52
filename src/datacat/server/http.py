"""uvicorn, with what a service that runs for years needs of it besides."""

import signal
import socket
from types import FrameType

import uvicorn

from datacat.api.live import HANG_UP
from datacat.query.live import Hub
from datacat.server.notify import Notifier
from datacat.server.orderly import OrderlyProtocol
from datacat.server.patience import PatientProtocol, PatientServer


class Server(PatientServer):
    """Tells the service manager when it serves, that its event loop turns, and when it stops.

    At a stop it ends the streams first: a stop waits for open requests, and theirs have no end of their own.

    Args:
        config: uvicorn's.
        seconds: see :class:`datacat.server.patience.PatientServer`, as ``files``.
        files: how many may be open.
        hub: who listens live.
        notifier: the way to the service manager.
        url: where the service is, as it is told.
    """

    def __init__(
        self, config: uvicorn.Config, seconds: float, files: int, *, hub: Hub, notifier: Notifier, url: str
    ) -> None:
        super().__init__(config, seconds, files)
        self._hub = hub
        self._notifier = notifier
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        self._notifier.ready(f"listens on {self._url}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; another Ctrl-C ends it there and then, as a kill would: nothing that was answered is lost."""
        if self.should_exit and sig == signal.SIGINT:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Look after everything that is to be looked after ten times a second."""
        self._notifier.alive()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._notifier.stopping()
        self._hub.close()
        await super().shutdown(sockets)


class Protocol(PatientProtocol, OrderlyProtocol):
    """Lets a stream hang up on a reader that does not read: HTTP has no word for that."""

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["extensions"] = {HANG_UP: {"now": self.transport.abort}}
