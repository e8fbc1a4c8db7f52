"""Running the service: an address, a port, and a stop that loses nothing."""

import gc
import logging
import os
import socket
import sys
from collections.abc import Callable

import uvicorn

from datacat.model.errors import ConfigurationError
from datacat.server.notify import Notifier
from datacat.server.settings import Settings, check_address, check_tls
from datacat.server.wiring import build, check_store

_SWITCH_INTERVAL = 0.0001
"""Seconds a thread may hold the interpreter while another waits.

The committing thread gives the interpreter up around every statement and needs it back a moment
later; with Python's own 5 ms it would stand still whenever the event loop is busy.
"""

_GARBAGE_THRESHOLD = 50_000
"""Objects allocated between two looks for cycles.

A batch is thousands of objects that live for a moment and form no cycle: with Python's own 700
the collector would walk through all that wait, again and again.
"""


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; what was accepted by then is committed and answered.

    Args:
        settings: see :class:`datacat.server.settings.Settings`.
        announce: told the service's URL once it can be reached.

    Raises:
        ConfigurationError: the address, the port or the certificate cannot be had.
        StoreError: the database cannot be served from.
    """
    check_address(settings)
    check_tls(settings)
    check_store(settings)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.set_threshold(_GARBAGE_THRESHOLD)
    with _listen(settings.host, settings.port) as listener:
        config = uvicorn.Config(
            build(settings),
            http="httptools",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.stop_timeout,
            ssl_certfile=settings.tls_cert or None,
            ssl_keyfile=settings.tls_key or None,
        )
        logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))
        url = _url("https" if settings.tls_cert else "http", settings.host, listener.getsockname()[1])
        announce(url)
        _Server(config, Notifier(os.environ), url).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Tells the service manager when it serves, that its event loop turns, and when it stops."""

    def __init__(self, config: uvicorn.Config, notifier: Notifier, url: str) -> None:
        super().__init__(config)
        self._notifier = notifier
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._notifier.ready(f"listens on {self._url}")

    async def on_tick(self, counter: int) -> bool:
        self._notifier.alive()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._notifier.stopping()
        await super().shutdown(sockets)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket: from here on connections wait for us, none is refused."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror or error}. "
            f"If something else listens there, stop it or choose another port: --port {port + 1 if port else 8081} "
            "(with make: PORT=…)"
        ) from error
    return listener


def _url(scheme: str, host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"
