"""Fakes for tests: of datacat itself, and of programs that use it.

>>> with capturing_session(product="editor") as (session, sent):
...     session.log_event("saved", {"path": "a.txt"})
...     session.flush()
...     [record["name"] for record in sent.of("event")]
True
['saved']
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from datacat.client.create import create_session
from datacat.client.session import Session
from datacat.client.transport import Reply, TransportError


class FakeClock:
    """Time that moves when it is told to.

    Args:
        now: microseconds since the Unix epoch.
    """

    def __init__(self, now: int = 1_732_380_000_000_000) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self._now += int(seconds * 1_000_000)
        self._monotonic += seconds

    def set_back(self, seconds: float) -> None:
        """Let somebody correct the time of day; none passes."""
        self._now -= int(seconds * 1_000_000)


class CapturingTransport:
    """Keeps what is sent, and skips what it has, as the server does.

    ``answers`` is a list of what to do with the next batches, each once: a :class:`Reply` to give
    instead, or the words ``"unreachable"`` (nothing arrives) and ``"lost"`` (it arrives, and the
    answer gets lost).
    """

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.last_seq = 0
        self.batches = 0
        self.answers: list[Reply | str] = []

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The records of one type."""
        return [record for record in self.records if record["type"] == kind]

    def send(self, session_id: str, body: bytes, timeout: float) -> Reply:  # noqa: ARG002  # the port's
        """Take a batch."""
        self.batches += 1
        answer = self.answers.pop(0) if self.answers else None
        if answer == "unreachable":
            raise TransportError("nobody is there")
        if isinstance(answer, Reply):
            return answer
        lines = [msgspec.json.decode(line) for line in body.splitlines()]
        if lines and lines[0].get("first", lines[0]["seq"]) > self.last_seq + 1:
            return Reply(409, last_seq=self.last_seq, code="sequence_gap")
        for record in lines:
            if record["seq"] > self.last_seq:
                self.records.append(record)
                self.last_seq = record["seq"]
        if answer == "lost":
            raise TransportError("the answer got lost")
        return Reply(200, last_seq=self.last_seq)

    def close(self) -> None:
        """Nothing to let go of."""


@contextmanager
def capturing_session(**fields: Any) -> Iterator[tuple[Session, CapturingTransport]]:
    """A session whose records are captured, and what captures them."""
    sent = CapturingTransport()
    with create_session(transport=lambda: sent, **fields) as session:
        yield session, sent
