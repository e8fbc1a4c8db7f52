"""From the buffer to the server, in one background thread.

What must hold: what the server acknowledged is let go, and nothing else; a batch whose answer was
lost is sent again as it was, and the server skips what it has. Nothing the server says can stop
the log for ever: a record it will not take is given up alone, and said to be lost.
"""

import logging
import threading
import time
from typing import Final

from datacat.client.backoff import Backoff
from datacat.client.buffer import Buffer, Chunk
from datacat.client.transport import Reply, Transport, TransportError

logger = logging.getLogger("datacat.client")

MAX_BATCH_BYTES: Final = 500_000
MAX_BATCH_RECORDS: Final = 5_000
SHIP_INTERVAL: Final = 0.2
"""Seconds between looks into the buffer. A look costs nothing; being woken by each record would
need a lock inside the program's own calls."""

SEND_TIMEOUT: Final = 10.0

_REFUSED: Final = frozenset({400, 413, 422})


class Shipper:
    """Ships one session's buffer.

    Args:
        session_id: whose records these are.
        buffer: what is shipped.
        transport: how.
        backoff: how long to wait after a failure.
    """

    def __init__(
        self, session_id: str, buffer: Buffer, transport: Transport, backoff: Backoff | None = None
    ) -> None:
        self._session_id = session_id
        self._buffer = buffer
        self._transport = transport
        self._backoff = backoff or Backoff()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._progress = threading.Condition()
        self._stopping = False
        self._batch_records = MAX_BATCH_RECORDS
        self._complained = False
        self.shipped = 0
        self.rejected = 0
        self.last_error: str | None = None

    def start(self) -> None:
        """Begin to ship."""
        self._thread = threading.Thread(target=self._run, name="datacat-shipper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the batch under way, at the next look."""
        self._stopping = True
        self._wake.set()

    def flush(self, timeout: float) -> bool:
        """Wait until everything recorded so far is with the server, at most ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        self._wake.set()
        with self._progress:
            while self._buffer.waiting:
                left = deadline - time.monotonic()
                if left <= 0 or self._thread is None or not self._thread.is_alive():
                    return False
                self._progress.wait(min(left, 0.05))
        return True

    def _run(self) -> None:
        while not self._stopping:
            try:
                wait = self._ship_all()
            except Exception as error:  # noqa: BLE001  # a codec half loaded, the program's logging: the thread lives on
                self.last_error = f"shipping failed: {error!r}"
                wait = self._backoff.failed()
            with self._progress:
                self._progress.notify_all()
            self._wake.wait(SHIP_INTERVAL if wait is None else wait)
            self._wake.clear()
        self._transport.close()

    def _ship_all(self) -> float | None:
        """Send until nothing waits; or the seconds to wait after a failure."""
        while not self._stopping and (chunk := self._buffer.take(MAX_BATCH_BYTES, self._batch_records)):
            try:
                reply = self._transport.send(self._session_id, chunk.body, SEND_TIMEOUT)
            except TransportError as error:
                return self._fail(str(error), None)
            if not self._understand(chunk, reply):
                return self._fail(f"the server answered {reply.status} {reply.detail}", reply.retry_after)
            with self._progress:
                self._progress.notify_all()
        return None

    def _understand(self, chunk: Chunk, reply: Reply) -> bool:
        """Act on an answer; whether there was any progress."""
        if reply.status == 200 and reply.last_seq is not None:
            self._acknowledge(chunk, reply)
        elif reply.status == 409 and reply.last_seq is not None:
            self._buffer.acknowledge(reply.last_seq)
            self._buffer.go_back(reply.last_seq)
        elif reply.status == 404 and reply.code == "unknown_session":
            if chunk.entries[0].kind == "start":
                return False
            self._buffer.go_back(0)
        elif reply.status in _REFUSED:
            self._refused(chunk, reply)
        else:
            return False
        self._recovered()
        return True

    def _acknowledge(self, chunk: Chunk, reply: Reply) -> None:
        assert reply.last_seq is not None
        self.rejected += len(reply.rejected)
        self.shipped += len(chunk.entries) - len(reply.rejected)
        if reply.rejected:
            self.last_error = str(reply.rejected[-1].get("message", ""))
        self._buffer.acknowledge(reply.last_seq)
        self._batch_records = MAX_BATCH_RECORDS

    def _refused(self, chunk: Chunk, reply: Reply) -> None:
        """Halve the batch until the record that the server will not take stands alone."""
        self.last_error = reply.detail
        if len(chunk.entries) > 1:
            self._batch_records = len(chunk.entries) // 2
        else:
            self._buffer.drop(chunk.entries[0], f"refused: {reply.code}"[:200])
            self._batch_records = MAX_BATCH_RECORDS

    def _fail(self, reason: str, retry_after: float | None) -> float:
        self.last_error = reason
        if not self._complained:
            self._complained = True
            logger.warning("datacat: %s; records are kept and sent later", reason)
        return self._backoff.failed(retry_after)

    def _recovered(self) -> None:
        self._backoff.succeeded()
        if self._complained:
            self._complained = False
            logger.info("datacat: the server answers again")
