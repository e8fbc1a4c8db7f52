"""The fast lane: plain posts of records, answered without the framework. It can be deleted.

It stands in front of uvicorn's own protocol, on the same connection. A request that
:mod:`datacat.server.plainpost` recognises is admitted and handed to the committer here, and
answered when its commit is durable. All else takes the ordinary road: its bytes go to uvicorn's
parser unchanged, and from there to the application.

What must hold:

- **Both roads give the same answers.** They are made of the same errors in the same words; what is
  unusual about a request, or who sends it, is not answered here at all: its bytes take the ordinary road.
- **Where a request ends is never guessed.** The lane looks only at bytes that begin a request:
  those after a request of its own, or those that arrive when the parser has just read one to its
  end. Whatever the parser has begun, it also ends.
- **Answers come in the order of the requests.** All that a connection waits for is one batch: what it
  sent at once for one session. Anything else is held until that is answered, and no more is read. Nor
  does the lane take anything while the ordinary road owes an answer.
- **What was accepted is answered**, in a stop as well: the connection closes after the last answer.
"""

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final, get_args

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from datacat.api.requests import FAST_LANE, Requests
from datacat.ingest import admit
from datacat.ingest.committer import Outcome
from datacat.ingest.door import Door
from datacat.model.clock import Clock
from datacat.model.errors import DatacatError, InvalidInput
from datacat.model.records import Answer, Batch
from datacat.server.http import Protocol
from datacat.server.patience import Awaited
from datacat.server.plainpost import END, MAX_HEAD_BYTES, PlainPost, may_become_plain
from datacat.server.runs import JSON, OK, Lane, Run, respond
from datacat.wire.codec import encode
from datacat.wire.problem import MEDIA_TYPE, problem_of

logger = logging.getLogger(__name__)

_SINGLE: Final = frozenset(get_args(admit.Single))
_NO_MORE: Final = sys.maxsize


def batch_of(post: PlainPost, body: bytes, now: int) -> Batch:
    """What a post brings that is a batch of its own; raises what :mod:`datacat.ingest.admit` does."""
    session_id, action, _ = post.target
    if action == "records":
        return admit.records(session_id, post.origin, body)
    return admit.state(session_id, body, post.content_type, now)


class FastLane(Protocol):
    """One connection; uvicorn makes it, with all arguments but ``lane``."""

    def __init__(self, lane: Lane, **given: Any) -> None:
        super().__init__(**given)
        self._lane = lane
        self._parsing = False
        self._closed = False
        self._in_flight = 0
        self._run: Run | None = None
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
            if self._is_awaiting or self.flow.write_paused or self._stopping:
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
                # Of many requests sent at once the last may be cut anywhere: it is no reason to leave the lane.
                if end >= len(END) or not may_become_plain(data[start:]):
                    self._hold()
                break
            self._rest = bytearray()
            super().data_received(data[start:])
            return
        self._rest = bytearray(data[start:]) if start < size else bytearray()

    @property
    def _is_awaiting(self) -> bool:
        """Whether what this connection brought is a batch by now, to which nothing can be added."""
        return self._in_flight > 0 and (self._run is None or self._run.sent)

    def _admit(self, post: PlainPost, body: bytes) -> bool:
        """Whether it is taken; else it waits for what is in flight, or takes the ordinary road."""
        if self._run is not None and post.target != self._run.target:
            return False
        self._in_flight += 1
        try:
            if post.target[1] in _SINGLE:
                run = self._lane.join(self, post, body)
                self._run = run if self._in_flight else None
            else:
                self._offer(batch_of(post, body, self._lane.clock.now()), post, body)
        except Exception:  # noqa: BLE001  # whatever it is, the ordinary road meets it again, and answers
            self._in_flight -= 1
            return False
        self._taken += 1
        return True

    def _offer(self, batch: Batch, post: PlainPost, body: bytes) -> None:
        door = self._lane.door(post.target[2])
        answered = self._records_answered if post.target[1] == "records" else self.say
        try:
            door.offer(batch, len(body), answered)
        except DatacatError as error:
            self._refuse(error)

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

    def confirm(self, answer: bytes, now: float) -> None:
        """What was joined is durable: answer one post of it; ``now`` is the loop's time."""
        if not self.transport.is_closing():
            self.transport.write(self._answer(200, JSON, OK) if self._stopping else answer)
        self._answered(now)

    def say(self, outcome: Outcome) -> None:
        """What became of one post."""
        if not isinstance(outcome, Answer):
            self._refuse(outcome)
        elif outcome.rejected:
            rejected = outcome.rejected[0]
            self._refuse(InvalidInput(rejected.code, rejected.message))
        else:
            self._respond(200, JSON, OK)

    def fail(self) -> None:
        """It cannot be answered: others that were joined with it are all the same."""
        logger.exception("an answer of the fast lane could not be given")
        self.transport.abort()

    def _refuse(self, error: Exception) -> None:
        if not isinstance(error, DatacatError):
            logger.error("a request of the fast lane failed", exc_info=error)
        found, headers = problem_of(error)
        self._respond(found.status, MEDIA_TYPE, found.body(), *headers.items())

    def _records_answered(self, outcome: Outcome) -> None:
        if isinstance(outcome, Answer):
            self._respond(200, JSON, encode(outcome))
        else:
            self._refuse(outcome)

    def _respond(self, status: int, media_type: str, body: bytes, *headers: tuple[str, str]) -> None:
        self._lane.answered["POST", FAST_LANE, status] += 1
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.transport.write(self._answer(status, media_type, body, *headers))
        self._answered(self.loop.time())

    def _answer(self, status: int, media_type: str, body: bytes, *headers: tuple[str, str]) -> bytes:
        if self._stopping and self._in_flight == 1:
            headers = (*headers, ("connection", "close"))
        return respond(status, media_type, body, self.server_state.default_headers, *headers)

    def _answered(self, now: float) -> None:
        self._in_flight -= 1
        if self._in_flight:
            return
        self._run = None
        self._answered_at = now
        if self.transport.is_closing():
            return
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
        unread = self.flow.write_paused and not self._in_flight
        if unread or not self._rest:
            return None if self._in_flight else super().awaited()
        if self._wanted == _NO_MORE or self._in_flight:
            return None
        return ("body" if self._wanted else "head"), "lane", self._taken

    def give_up(self, awaited: str, seconds: float) -> None:
        """The ordinary road knows what to say of a request that is not whole; what nobody hears is not begun."""
        if awaited != "answer":
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


def fast_lane(door: Callable[[str | None], Door], requests: Requests, clock: Clock) -> "partial[FastLane]":
    """What makes uvicorn's connections for one service; see :class:`Lane`."""
    return partial(FastLane, Lane(door, requests, clock))
