"""Posts that arrive together become one batch: what the connections of the fast lane share.

The posts of single records that arrive in one turn of the event loop for one session, on any connections,
are one batch: checked in one step, folded once, answered together.
"""

import asyncio
from collections.abc import Callable
from itertools import zip_longest
from typing import Final, Protocol, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from datacat.api.requests import FAST_LANE, Requests
from datacat.ingest import admit
from datacat.ingest.committer import Outcome
from datacat.ingest.door import Door
from datacat.model.clock import Clock
from datacat.model.errors import InvalidInput
from datacat.model.records import Answer
from datacat.server.plainpost import PlainPost, Target, recognise
from datacat.wire.codec import encode

MAX_RUN: Final = 1_000
"""Posts that may become one batch."""

MAX_RUN_BYTES: Final = 1024 * 1024
"""The same in bytes of their bodies; the last of them may exceed it."""

_HEADS_KEPT: Final = 2_048
JSON: Final = "application/json"
OK: Final = encode({"status": "ok"})

Headers = list[tuple[bytes, bytes]]


class Poster(Protocol):
    """A connection that brought a post."""

    server_state: ServerState

    def confirm(self, answer: bytes, now: float) -> None:
        """One post is durable: ``answer`` says so; ``now`` is the loop's time."""
        ...

    def say(self, outcome: Outcome) -> None:
        """What became of one post."""
        ...

    def fail(self) -> None:
        """It cannot be answered."""
        ...


class Run:
    """Posts of single records that are one batch, and the connections that brought them.

    Args:
        target: what they have in common.
        door: what whoever sends them may record with.
        lane: whose it is.
    """

    __slots__ = ("_door", "_lane", "_outcomes", "bodies", "connections", "sent", "size", "target", "times")

    def __init__(self, target: Target, door: Door, lane: "Lane") -> None:
        self.target = target
        self._door = door
        self._lane = lane
        self._outcomes: list[InvalidInput | None] = []
        self.bodies: list[bytes] = []
        self.times: list[int] = []
        self.connections: list[Poster] = []
        self.size = 0
        self.sent = False

    def send(self) -> None:
        """Offer what can be admitted; nothing is added from here on."""
        self.sent = True
        try:
            self._offer()
        except Exception as error:  # noqa: BLE001  # whatever it is, they are to be told
            self._answered(error)

    def _offer(self) -> None:
        session_id, action, _ = self.target
        records = admit.together(cast("admit.Single", action), self.bodies, self.times)
        sound = [record for record in records if not isinstance(record, InvalidInput)]
        if len(sound) < len(records):
            self._outcomes = [record if isinstance(record, InvalidInput) else None for record in records]
        if sound:
            batch = admit.plain(session_id, *sound)
            self._door.offer(batch, self.size, self._answered, requests=len(set(self.connections)))
        else:
            self._answered(Answer(0, 0, 0))

    def _answered(self, outcome: Outcome) -> None:
        connections = self.connections
        if self._outcomes or not isinstance(outcome, Answer):
            for connection, bad in zip_longest(connections, self._outcomes):
                try:
                    connection.say(bad or outcome)
                except Exception:  # noqa: BLE001  # it is logged there, and the others go on
                    connection.fail()
        else:
            self._lane.confirm(connections)


class Lane:
    """What the connections of one service share.

    Args:
        door: what whoever sends this authorization may record with; raises for nothing.
        requests: where what is answered is counted.
        clock: the server's time.
    """

    def __init__(self, door: Callable[[str | None], Door], requests: Requests, clock: Clock) -> None:
        self.answered = requests.answered
        self.clock = clock
        self._door = door
        self._doors: dict[str | None, Door] = {}
        self._runs: dict[Target, Run] = {}
        self._posts: dict[bytes, PlainPost] = {}
        self._default_headers: Headers = []
        self._ok_answer = b""

    def post_of(self, head: bytes) -> PlainPost | None:
        """What the head says; a program sends the same few heads again and again, so they are kept."""
        post = self._posts.get(head)
        if post is None and (post := recognise(head)) is not None:
            if len(self._posts) >= _HEADS_KEPT:
                self._posts.clear()
            self._posts[head] = post
        return post

    def door(self, authorization: str | None) -> Door:
        """What whoever sends this may record with; asked once for all that arrives in one turn of the loop."""
        door = self._doors.get(authorization)
        if door is None:
            if not self._doors:
                asyncio.get_running_loop().call_soon(self._doors.clear)
            door = self._doors[authorization] = self._door(authorization)
        return door

    def join(self, connection: Poster, post: PlainPost, body: bytes) -> Run:
        """Let a post be of the batch that goes at the end of this turn of the loop.

        Raises:
            DatacatError: whoever sends it may not record.
        """
        run = self._runs.get(post.target)
        if run is None:
            run = Run(post.target, self.door(post.target[2]), self)
            if not self._runs:
                asyncio.get_running_loop().call_soon(self._send)
            self._runs[post.target] = run
        run.bodies.append(body)
        run.times.append(self.clock.now())
        run.connections.append(connection)
        run.size += len(body)
        if len(run.bodies) == MAX_RUN or run.size > MAX_RUN_BYTES:
            self._send()
        return run

    def _send(self) -> None:
        runs, self._runs = self._runs, {}
        for run in runs.values():
            run.send()

    def confirm(self, connections: list[Poster]) -> None:
        """What each of these has sent is durable."""
        state = connections[0].server_state
        self.answered["POST", FAST_LANE, 200] += len(connections)
        state.total_requests += len(connections)
        answer, now = self._ok(state.default_headers), asyncio.get_running_loop().time()
        for connection in connections:
            try:
                connection.confirm(answer, now)
            except Exception:  # noqa: BLE001  # it is logged there, and the others go on
                connection.fail()

    def _ok(self, default_headers: Headers) -> bytes:
        """The answer of nearly every request; uvicorn makes a new list of its headers every second."""
        if default_headers is not self._default_headers or not self._ok_answer:
            self._default_headers = default_headers
            self._ok_answer = respond(200, JSON, OK, default_headers)
        return self._ok_answer


def respond(status: int, media_type: str, body: bytes, headers: Headers, *more: tuple[str, str]) -> bytes:
    r"""An answer as uvicorn would write it.

    >>> respond(200, "text/plain", b"hello", [(b"date", b"today")], ("Connection", "close"))
    b'HTTP/1.1 200 OK\r\ndate: today\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello'
    """
    own = (("content-type", media_type), ("content-length", str(len(body))), *more)
    lines = [*headers, *((name.lower().encode(), value.encode()) for name, value in own)]
    return b"".join([STATUS_LINE[status], *(b"%b: %b\r\n" % line for line in lines), b"\r\n", body])
