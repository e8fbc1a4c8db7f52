"""How long a connection may keep the server waiting: for a request to arrive, for an answer to be read.

uvicorn closes connections between two requests when nothing comes; nobody but us closes those on
which a request has begun and dribbles in, or which take none of their answer. Once a second all
connections are looked at. What each of them is awaited to do is a token; one that is still the same
after the time given has not been done. Connections on which the server itself is at work, or that
are idle between requests, are left alone.
"""

import logging
import time
from collections.abc import Iterable
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from datacat.wire.problem import MEDIA_TYPE, problem

logger = logging.getLogger(__name__)

_TICKS: Final = 10
"""uvicorn's ticks, of a tenth of a second, between two looks."""

_FILES_OF_OURS: Final = 64
"""Open files that are no connections: the database's and the libraries', and some to spare."""


Awaited = tuple[object, ...]
"""What the other side must do next, and of which request; or how much of an answer still is not taken."""


class PatientProtocol(HttpToolsProtocol):
    """A connection that can tell what it waits for."""

    def awaited(self) -> Awaited | None:
        """What the other side must do next; None when it is not its turn, or uvicorn's own timer runs."""
        if self.flow.write_paused:
            return "answer", self.transport.get_write_buffer_size()
        if self.timeout_keep_alive_task is not None:
            return None
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            return "head", cycle
        return ("body", cycle) if cycle.more_body else None

    def give_up(self, awaited: str, seconds: float) -> None:
        """Close a connection that was waited for so long, and say so where a request could hear it."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None:
            cycle.disconnected = True  # nobody is to write to it any more
        if awaited != "body" or cycle is None or cycle.response_started:
            self.transport.abort()
            return
        body = problem(
            "too_slow", f"the request did not arrive whole within {seconds:g} s: send less at once"
        ).body()
        head = (
            f"HTTP/1.1 408 Request Timeout\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
        )
        self.transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        self.transport.close()


class PatientServer(uvicorn.Server):
    """A server that waits so long and no longer.

    Args:
        config: uvicorn's.
        seconds: in which a request's head, and then its body, must arrive, and some of an answer be read.
        files: how many the process may have open.
    """

    def __init__(self, config: uvicorn.Config, seconds: float, files: int) -> None:
        super().__init__(config)
        self._patience = Patience(seconds)
        self._room = files - _FILES_OF_OURS
        self._crowded = False

    async def on_tick(self, counter: int) -> bool:
        """Look at the connections, and whether it is time to stop."""
        if counter % _TICKS == 0:
            connections: set[Any] = self.server_state.connections
            self._patience.look(connections, time.monotonic())
            self._tell_of_crowds(len(connections))
        return await super().on_tick(counter)

    def _tell_of_crowds(self, connections: int) -> None:
        crowded = connections >= self._room
        if crowded and not self._crowded:
            logger.warning(
                "%d connections are open, as many as the limit of open files leaves room for: "
                "new ones are refused until some are closed. Raise it: ulimit -n",
                connections,
            )
        self._crowded = crowded


class Patience:
    """Since when each connection has been awaited.

    Args:
        seconds: how long one may be.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[PatientProtocol, tuple[Awaited, float]] = {}

    def look(self, connections: Iterable[PatientProtocol], now: float) -> int:
        """Close those that are too late at ``now``, in seconds of a clock that never goes back; how many."""
        since: dict[PatientProtocol, tuple[Awaited, float]] = {}
        late = []
        for connection in connections:
            if (token := connection.awaited()) is None:
                continue
            known = self._since.get(connection)
            since[connection] = known if known is not None and known[0] == token else (token, now)
            if now - since[connection][1] > self._seconds:
                late.append((connection, str(token[0])))
        self._since = since
        for connection, awaited in late:
            connection.give_up(awaited, self._seconds)
        return len(late)
