"""The fast lane: plain posts of records, answered without the framework. It can be deleted.

It stands in front of uvicorn's own protocol, on the same connection. A request that
:mod:`datacat.server.plainpost` recognises is admitted and handed to the committer here, and
answered when its commit is durable. All else takes the ordinary road: its bytes go to uvicorn's
parser unchanged, and from there to the application.

What must hold:

- **Both roads give the same answers.** What cannot be admitted is not answered here: its bytes
  take the ordinary road, which finds the same error. Only what a commit made of a request is.
- **Where a request ends is never guessed.** The lane looks only at bytes that begin a request:
  those after a request of its own, or those that arrive when the parser has just read one to its
  end. Whatever the parser has begun, it also ends.
- **Answers come in the order of the requests.** Several may wait for their commits at once, as the
  committer answers in order. But the lane takes nothing while the ordinary road owes an answer, and
  hands nothing on while it owes one itself: until then the bytes are held, and no more are read.
- **What was accepted is answered**, in a stop as well: the connection closes after the last answer.
"""

import asyncio
import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from datacat.api.requests import FAST_LANE, Requests
from datacat.ingest import admit
from datacat.ingest.committer import Committer, Outcome
from datacat.ingest.door import Door
from datacat.model.clock import Clock
from datacat.model.errors import DatacatError, InvalidInput
from datacat.model.records import Answer, Batch
from datacat.server.http import Protocol
from datacat.server.patience import Awaited
from datacat.server.plainpost import END, MAX_HEAD_BYTES, PlainPost, recognise
from datacat.wire.codec import encode
from datacat.wire.problem import MEDIA_TYPE, problem_of

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT: Final = 256
"""Requests of one connection that may wait for their commits at once."""

_HEADS_KEPT: Final = 2_048
_JSON: Final = "application/json"
_OK: Final = encode({"status": "ok"})
_NO_MORE: Final = sys.maxsize

Headers = list[tuple[bytes, bytes]]


class Lane:
    """What the connections of one service share.

    Args:
        ingest: takes what was admitted.
        admit: what whoever sends this authorization may record with; raises for nothing.
        requests: where what is answered is counted.
        clock: the server's time.
    """

    def __init__(
        self, ingest: Committer, admit: Callable[[str | None], Door], requests: Requests, clock: Clock
    ) -> None:
        self.ingest = ingest
        self.answered = requests.answered
        self.clock = clock
        self._admit = admit
        self._doors: dict[str | None, Door] = {}
        self._posts: dict[bytes, PlainPost] = {}
        self._default_headers: Headers = []
        self._ok = b""

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
            door = self._doors[authorization] = self._admit(authorization)
        return door

    def ok(self, default_headers: Headers) -> bytes:
        """The answer of nearly every request; uvicorn makes a new list of its headers every second."""
        if default_headers is not self._default_headers or not self._ok:
            self._default_headers = default_headers
            self._ok = respond(200, _JSON, _OK, default_headers)
        return self._ok


def respond(status: int, media_type: str, body: bytes, headers: Headers, *more: tuple[str, str]) -> bytes:
    r"""An answer as uvicorn would write it.

    >>> respond(200, "text/plain", b"hello", [(b"date", b"today")], ("Connection", "close"))
    b'HTTP/1.1 200 OK\r\ndate: today\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello'
    """
    own = (("content-type", media_type), ("content-length", str(len(body))), *more)
    lines = [*headers, *((name.lower().encode(), value.encode()) for name, value in own)]
    return b"".join([STATUS_LINE[status], *(b"%b: %b\r\n" % line for line in lines), b"\r\n", body])


def admitted(post: PlainPost, body: bytes, now: int) -> Batch:
    """What a plain post brings; raises what :mod:`datacat.ingest.admit` does."""
    match post.action:
        case "events":
            return admit.event(post.session_id, body, now)
        case "metrics":
            return admit.metric(post.session_id, body, now)
        case "state":
            return admit.state(post.session_id, body, post.content_type, now)
        case "heartbeat":
            return admit.heartbeat(post.session_id, now)
        case "records":
            return admit.records(post.session_id, post.origin, body)


class FastLane(Protocol):
    """One connection; uvicorn makes it, with all arguments but ``lane``."""

    def __init__(self, lane: Lane, **given: Any) -> None:
        super().__init__(**given)
        self._lane = lane
        self._parsing = False
        self._closed = False
        self._in_flight = 0
        self._taken = 0
        self._rest = bytearray()
        self._wanted = 0
        self._stopping = False
        self._answered_at = 0.0

    # The ordinary road, and where it is.

    def on_message_begin(self) -> None:
        """The parser has begun a request."""
        self._parsing = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser has read a head; after an upgrade the connection may speak another protocol."""
        self._closed = self._closed or self.parser.should_upgrade()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The parser has read a request to its end."""
        self._parsing = False
        super().on_message_complete()

    @property
    def _is_ordinary(self) -> bool:
        """Whether the next bytes belong to the ordinary road, or come behind an answer that it owes."""
        cycle: RequestResponseCycle | None = self.cycle
        return self._parsing or self._closed or (cycle is not None and not cycle.response_complete)

    # What arrives.

    def data_received(self, data: bytes) -> None:
        """Bytes of one request, of several, or of a part of one."""
        if self._is_ordinary:
            super().data_received(data)
        elif self._rest:
            self._rest += data
            if len(self._rest) >= self._wanted:
                self._take(bytes(self._rest))
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Take what is plain; hold or hand on what is not. ``data`` begins where a request begins."""
        start, size = 0, len(data)
        self._wanted = 0
        while start < size:
            if self._in_flight >= MAX_IN_FLIGHT or self.flow.write_paused or self._stopping:
                self._hold()
                break
            end = data.find(END, start, start + MAX_HEAD_BYTES) + len(END)
            post = self._lane.post_of(data[start:end]) if end >= len(END) else None
            if post is not None:
                until = end + post.length
                if until > size:
                    self._wanted = until - start
                    break
                if self._admit(post, data[end:until]):
                    start = until
                    continue
            if self._in_flight:
                self._hold()
                break
            self._rest = bytearray()
            super().data_received(data[start:])
            return
        self._rest = bytearray(data[start:]) if start < size else bytearray()

    def _admit(self, post: PlainPost, body: bytes) -> bool:
        lane = self._lane
        answered = self._records_answered if post.action == "records" else self._plain_answered
        try:
            batch = lane.door(post.authorization).admit(admitted(post, body, lane.clock.now()))
            lane.ingest.offer(batch, len(body), answered)
        except Exception:  # noqa: BLE001  # whatever it is, the ordinary road meets it again, and answers
            return False
        self._in_flight += 1
        self._taken += 1
        return True

    def _hold(self) -> None:
        self._wanted = _NO_MORE
        self.flow.pause_reading()

    def _go_on(self) -> None:
        """Look again at what was held, now that something has changed."""
        if self._wanted == _NO_MORE and not self._in_flight and not self.flow.write_paused:
            held, self._rest = bytes(self._rest), bytearray()
            self.flow.resume_reading()
            self._take(held)

    # What is answered.

    def _plain_answered(self, outcome: Outcome) -> None:
        if isinstance(outcome, Answer) and not outcome.rejected and not self._stopping:
            self._answer(200, self._lane.ok(self.server_state.default_headers))
        elif isinstance(outcome, Answer):
            for rejected in outcome.rejected:
                self._refuse(InvalidInput(rejected.code, rejected.message))
                return
            self._respond(200, _JSON, _OK)
        else:
            self._refuse(outcome)

    def _records_answered(self, outcome: Outcome) -> None:
        if isinstance(outcome, Answer):
            self._respond(200, _JSON, encode(outcome))
        else:
            self._refuse(outcome)

    def _refuse(self, error: Exception) -> None:
        if not isinstance(error, DatacatError):
            logger.error("a request of the fast lane failed", exc_info=error)
        found, headers = problem_of(error)
        self._respond(found.status, MEDIA_TYPE, found.body(), *headers.items())

    def _respond(self, status: int, media_type: str, body: bytes, *headers: tuple[str, str]) -> None:
        if self._stopping and self._in_flight == 1:
            headers = (*headers, ("connection", "close"))
        self._answer(status, respond(status, media_type, body, self.server_state.default_headers, *headers))

    def _answer(self, status: int, answer: bytes) -> None:
        self._in_flight -= 1
        self._lane.answered["POST", FAST_LANE, status] += 1
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        if self._in_flight:
            return
        self._answered_at = self.loop.time()
        if self._stopping:
            self.transport.close()
        elif self._wanted == _NO_MORE:
            self._go_on()
        elif self.timeout_keep_alive_task is None:
            self._keep_alive(self.timeout_keep_alive)

    # What else happens to a connection.

    def resume_writing(self) -> None:
        """The other side has read again."""
        super().resume_writing()
        self._go_on()

    def shutdown(self) -> None:
        """Close, but answer first what was accepted."""
        if self._in_flight:
            self._stopping = True
            return
        self._hand_on()  # a body is on its way: the ordinary road knows how to wait for it
        super().shutdown()

    def awaited(self) -> Awaited | None:
        """A request that has begun is awaited here too; what is held waits for us."""
        if not self._rest:
            return None if self._in_flight else super().awaited()
        if self._wanted == _NO_MORE or self._in_flight:
            return None
        return ("body" if self._wanted else "head"), "lane", self._taken

    def give_up(self, awaited: str, seconds: float) -> None:
        """The ordinary road knows what to say of a request that is not whole."""
        self._hand_on()
        super().give_up(awaited, seconds)

    def _hand_on(self) -> None:
        if self._rest:
            begun, self._rest = bytes(self._rest), bytearray()
            super().data_received(begun)

    def timeout_keep_alive_handler(self) -> None:
        """Close what has been idle for long: a timer a connection, set again when it rings too early.

        One that is set and cut off for each request would cost more than all else here.
        """
        self.timeout_keep_alive_task = None
        if self._in_flight or self._rest:
            return
        remaining = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if remaining > 0:
            self._keep_alive(remaining)
        else:
            super().timeout_keep_alive_handler()

    def _keep_alive(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)


def fast_lane(
    ingest: Committer, admit: Callable[[str | None], Door], requests: Requests, clock: Clock
) -> "partial[FastLane]":
    """What makes uvicorn's connections for one service; see :class:`Lane`."""
    return partial(FastLane, Lane(ingest, admit, requests, clock))
