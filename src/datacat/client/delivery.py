"""One log on its way to one server, a chunk at a time: send it, and act on the answer.

What must hold: what the server acknowledged is let go, and nothing else; a chunk whose answer was
lost is sent again as it was, and the server skips what it has. A record that the service will not
take does not stop the log: it is given up alone, and said to be lost. Whatever else an answer is,
it is a failure: no answer is asked for at full speed for ever. One chunk at a time is under way,
so a server that has just come back is not flooded.
"""

import contextlib
from enum import Enum
from typing import Final

from datacat.client.backlog import Backlog, Chunk
from datacat.client.backoff import Backoff
from datacat.client.transport import Reply, Transport, TransportError

MAX_BATCH_BYTES: Final = 500_000
MAX_BATCH_RECORDS: Final = 5_000
SEND_TIMEOUT: Final = 10.0

_BAD_BATCH: Final = frozenset({400, 413, 422})
_TOO_LARGE: Final = 413

_NO_TO_THIS_LOG: Final = frozenset({403, 404, 409, *_BAD_BATCH})
"""Not 401: whose key is not known is refused whatever it sends."""

_NEEDED: Final = frozenset({"start", "loss"})
"""What nothing can take the place of: to a server that refuses it, nothing behind it can be sent."""


class Step(Enum):
    """What came of one step."""

    NOTHING = "nothing waits"
    SENT = "there was progress"
    FAILED = "the server is not there, or has no room"


class Delivery:
    """Delivers one session's backlog.

    Args:
        session_id: whose records these are.
        backlog: what is sent.
        transport: how.
        backoff: how long to wait after a failure.
    """

    def __init__(
        self, session_id: str, backlog: Backlog, transport: Transport, backoff: Backoff | None = None
    ) -> None:
        self._session_id = session_id
        self.backlog = backlog
        self._transport = transport
        self._backoff = backoff or Backoff()
        self._batch_records = MAX_BATCH_RECORDS
        self._sent_back_at = -1
        self.shipped = 0
        self.rejected = 0
        self.wait = 0.0
        self.last_error: str | None = None
        self.refused = False
        """Whether the service itself said no to this log; to another it may say yes."""

    def step(self) -> Step:
        """Send the next chunk; after a failure, :attr:`wait` is how many seconds to wait."""
        if not self.backlog.settled and self.backlog.waiting and (failed := self._settle()) is not None:
            return failed
        chunk = self.backlog.take(MAX_BATCH_BYTES, self._batch_records)
        if chunk is None:
            return Step.NOTHING
        try:
            reply = self._transport.send(self._session_id, chunk.body, SEND_TIMEOUT)
        except TransportError as error:
            return self.failed(str(error))
        if not self._understand(chunk, reply):
            return self._not_understood(reply)
        self._backoff.succeeded()
        return Step.SENT

    def contact(self) -> None:
        """Tell the server that the program is there; when it does not answer, the next records will find out."""
        with contextlib.suppress(TransportError):
            self._transport.send(self._session_id, b"", SEND_TIMEOUT)

    def failed(self, reason: str, retry_after: float | None = None) -> Step:
        """Note a failure."""
        self.last_error = reason
        self.refused = False
        self.wait = self._backoff.failed(retry_after)
        return Step.FAILED

    def _settle(self) -> Step | None:
        """Ask how far the server is in a session that is gone on with; None where it has said that."""
        try:
            reply = self._transport.send(self._session_id, b"", SEND_TIMEOUT)
            if reply.status == 200 and reply.last_seq is not None:
                self.backlog.settle(reply.last_seq)
            elif reply.status == 404 and reply.code == "unknown_session":
                self.backlog.settle(0)
            else:
                return self._not_understood(reply)
        except (TransportError, OSError) as error:
            return self.failed(str(error))
        return None

    def _not_understood(self, reply: Reply) -> Step:
        step = self.failed(f"the server answered {reply.status} {reply.detail}".strip(), reply.retry_after)
        self.refused = bool(reply.code) and reply.status in _NO_TO_THIS_LOG
        return step

    def close(self) -> None:
        """Let go of the connection."""
        self._transport.close()

    def _understand(self, chunk: Chunk, reply: Reply) -> bool:
        """Act on an answer; whether there was any progress."""
        if reply.status == 200 and reply.last_seq is not None and reply.last_seq >= chunk.entries[-1].seq:
            self._acknowledge(chunk, reply)
        elif reply.status == 409 and reply.last_seq is not None:
            return self._go_back(reply.last_seq)
        elif reply.status == 404 and reply.code == "unknown_session":
            return chunk.entries[0].kind != "start" and self._go_back(0)
        elif reply.status in _BAD_BATCH:
            return self._halve(chunk, reply)
        else:
            return False
        return True

    def _acknowledge(self, chunk: Chunk, reply: Reply) -> None:
        assert reply.last_seq is not None
        self.rejected += len(reply.rejected)
        self.shipped += sum(entry.kind != "loss" for entry in chunk.entries) - len(reply.rejected)
        if reply.rejected:
            self.last_error = str(reply.rejected[-1].get("message", ""))
        self.backlog.acknowledge(reply.last_seq)
        self._batch_records = MAX_BATCH_RECORDS

    def _go_back(self, last_seq: int) -> bool:
        """Send again what the server has not; no progress when it sent us back from here before."""
        here = self.backlog.acknowledged
        further = here > self._sent_back_at
        self._sent_back_at = max(here, self._sent_back_at)
        self.backlog.go_back(last_seq)
        return further

    def _halve(self, chunk: Chunk, reply: Reply) -> bool:
        """Halve the batch until the record that the server will not take stands alone, and give that up.

        Only the service itself can say that of a record; what stands before it may only find a batch too large.
        """
        if not reply.code and reply.status != _TOO_LARGE:
            return False
        if len(chunk.entries) > 1:
            self._batch_records = len(chunk.entries) // 2
            return True
        (entry,) = chunk.entries
        if entry.kind in _NEEDED:
            return False
        self.last_error = reply.detail
        self.backlog.drop(entry, f"refused: {reply.code or reply.status}"[:200])
        self._batch_records = MAX_BATCH_RECORDS
        return True
