"""Telling the service manager how it stands: systemd's ``sd_notify``, a datagram to a socket of its own.

Where nobody started the service so, nothing is told. See ``man sd_notify``.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

logger = logging.getLogger(__name__)

_MICROSECONDS: Final = 1_000_000


class Notifier:
    """The manager that started this process, if one did.

    Args:
        environ: the environment, where the manager names its socket and how often it wants to hear.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A name that begins with @ is in the abstract namespace, where it begins with a zero.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        wanted = environ.get("WATCHDOG_USEC", "") if for_us else ""
        self._every = int(wanted) / _MICROSECONDS / 2 if wanted.isdigit() and int(wanted) else None
        self._next = 0.0

    def ready(self, status: str) -> None:
        """It serves; ``status`` is a line for ``systemctl status``."""
        self._tell(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """It commits what was accepted, and ends."""
        self._tell("STOPPING=1\nSTATUS=committing what was accepted")

    def alive(self) -> None:
        """Its event loop turns; told twice in the time that the manager waits, however often this is called."""
        if self._every is not None and (now := time.monotonic()) >= self._next:
            self._next = now + self._every
            self._tell("WATCHDOG=1")

    def _tell(self, message: str) -> None:
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.setblocking(False)  # a manager that does not read keeps nobody waiting
                manager.sendto(message.encode(), self._address)
        except OSError as error:
            logger.warning("the service manager cannot be told %r: %s", message, error)
