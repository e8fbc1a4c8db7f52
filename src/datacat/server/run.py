"""Running the service: an address, a port, and a stop that loses nothing."""

import contextlib
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable

import uvicorn

from datacat.api.gate import Gate
from datacat.api.requests import Observed
from datacat.ingest.door import Door
from datacat.model.errors import ConfigurationError
from datacat.server.address import check_address, check_names
from datacat.server.fastlane import fast_lane
from datacat.server.http import Protocol, Server
from datacat.server.logs import configure
from datacat.server.memory import give_memory_back
from datacat.server.notify import Notifier
from datacat.server.settings import Settings, check_tls
from datacat.server.wiring import Service, asks_for_keys, build, check_store

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
        ConfigurationError: the address, the port or the certificate cannot be had.
        StoreError: the database cannot be served from.
    """
    configure(settings.log_level, settings.log_format)
    check_tls(settings)
    check_names(settings)
    check_address(settings, asks_for_keys=asks_for_keys(settings))
    check_store(settings)
    give_memory_back()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.set_threshold(_GARBAGE_THRESHOLD)
    service = build(settings)
    with _listen(settings.host, settings.port) as listener:
        config = uvicorn.Config(
            Observed(service.app, service.requests),
            http=_protocol(service, lane=settings.fast_lane),  # type: ignore[arg-type]  # it is only called
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=settings.stop_timeout,
            ssl_certfile=settings.tls_cert or None,
            ssl_keyfile=settings.tls_key or None,
        )
        logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLogger().level))
        url = _url("https" if settings.tls_cert else "http", settings.host, listener.getsockname()[1])
        announce(url)
        server = Server(
            config,
            settings.request_timeout,
            _most_files(),
            hub=service.hub,
            notifier=Notifier(os.environ),
            url=url,
        )
        server.run(sockets=[listener])


def _protocol(service: Service, *, lane: bool) -> Callable[..., Protocol]:
    """What makes a connection."""
    if not lane:
        return Protocol

    def door(authorization: str | None) -> Door:
        gate: Gate = service.app.state.gate
        return Door(service.ingest, gate.admit(authorization, "ingest"), service.throttle, service.clock)

    return fast_lane(door, service.requests, service.clock)


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


def _url(scheme: str, host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"
