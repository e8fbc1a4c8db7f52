"""Running the service: an address, a port, and a stop that loses nothing."""

import contextlib
import gc
import logging
import socket
import sys
from collections.abc import Callable

import uvicorn

from datacat.model.errors import ConfigurationError
from datacat.server.orderly import OrderlyProtocol
from datacat.server.patience import PatientServer
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


_KEEP_ALIVE = 75
"""Seconds that a connection may be idle between two requests.

A quiet program is heard of every 15 seconds, and need not connect anew each time.
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
        config = uvicorn.Config(
            build(settings),
            http=OrderlyProtocol,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=settings.stop_timeout,
        )
        logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))
        announce(_url(settings.host, listener.getsockname()[1]))
        PatientServer(config, settings.request_timeout, _most_files()).run(sockets=[listener])


def _most_files() -> int:
    """Take all the open files that this process may have: each connection is one. How many that is."""
    try:
        import resource
    except ImportError:  # Windows, which knows no such limit
        return sys.maxsize
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # what is not given is no reason not to serve
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


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
