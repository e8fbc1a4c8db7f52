"""Running the service: an address, a port, and a stop that loses nothing."""

import gc
import logging
import socket
import sys
from collections.abc import Callable

import uvicorn

from datacat.model.errors import ConfigurationError
from datacat.server.fastlane import fast_lane
from datacat.server.settings import Settings, check_address
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
        ConfigurationError: the address or the port cannot be had.
        StoreError: the database cannot be served from.
    """
    check_address(settings)
    check_store(settings)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.set_threshold(_GARBAGE_THRESHOLD)
    with _listen(settings.host, settings.port) as listener:
        service = build(settings)
        config = uvicorn.Config(
            service.app,
            http=fast_lane(service.ingest, service.clock) if settings.fast_lane else "httptools",  # type: ignore[arg-type]  # it is only called
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=settings.stop_timeout,
        )
        logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))
        announce(_url(settings.host, listener.getsockname()[1]))
        uvicorn.Server(config).run(sockets=[listener])


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


def _url(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"
