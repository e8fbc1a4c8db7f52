"""Drives the batcher: one thread that folds and commits, and answers only then.

What must hold: an answer means that the records are durable; a batch that fails harms no other
batch of its group; everything accepted before a stop is committed by it. What goes into a group
is decided in :mod:`datacat.ingest.batcher`, what becomes of a session in :mod:`datacat.model.fold`;
here is only the waiting.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from msgspec import Struct
from prometheus_client import Histogram

from datacat.ingest.batcher import Batcher
from datacat.model.clock import Clock
from datacat.model.errors import Busy, DatacatError, StoreError
from datacat.model.fold import Folded, fold
from datacat.model.records import Answer, Batch
from datacat.model.session import Session
from datacat.store.port import Transaction, Writer

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_RECORDS: Final = (1, 10, 100, 1_000, 10_000)

_STOP_TIMEOUT: Final = 30.0


Outcome = Answer | Exception


class Committed(NamedTuple):
    """What became of a group: an outcome for each batch, in order, and what was folded and is durable."""

    outcomes: list[Outcome]
    folds: list[Folded]


class _Waiting(Struct, gc=False, eq=False):
    batch: Batch
    answered: Callable[[Outcome], None]


class _Work(Struct, gc=False, eq=False):
    """What is done between two commits."""

    do: Callable[[Writer], Any]
    done: "asyncio.Future[Any]"


class Counts(Struct):
    """What was done since the start; written by the committing thread alone, but for ``refused``."""

    commits: int = 0
    batches: int = 0
    records: int = 0
    rejected: int = 0
    lost: int = 0
    failed: int = 0
    refused: int = 0
    seconds: float = 0.0


class Committer:
    """The only way into the store.

    Args:
        open_writer: called in the committing thread, which owns the writer from then on.
        clock: whose time is written as ``received``.
        batcher: the bounded queue.
        committed: told, in the event loop and after the answers, what each commit has made durable.
    """

    def __init__(
        self,
        open_writer: Callable[[], Writer],
        clock: Clock,
        batcher: Batcher[_Waiting] | None = None,
        committed: Callable[[list[Folded]], None] | None = None,
    ) -> None:
        self._open_writer = open_writer
        self._clock = clock
        self._batcher = batcher or Batcher()
        self._committed = committed
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._idle = False
        self._gathering = False
        self._work: deque[_Work] = deque()
        self._turn_is_works = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.counts = Counts()
        self.durations = Histogram(
            "datacat_commit_duration_seconds", "How long commits took.", buckets=_SECONDS, registry=None
        )
        self.sizes = Histogram(
            "datacat_commit_records", "How many records were in commits.", buckets=_RECORDS, registry=None
        )

    @property
    def waiting(self) -> tuple[int, int]:
        """Records, and bytes of their bodies, that wait to be committed."""
        return self._batcher.records, self._batcher.bytes

    async def start(self) -> None:
        """Open the store and begin to commit.

        Raises:
            StoreError: the store cannot be opened.
        """
        self._loop = asyncio.get_running_loop()
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(opened,), name="datacat-committer", daemon=True
        )
        self._thread.start()
        await asyncio.wrap_future(opened)

    async def submit(self, batch: Batch, *, size: int) -> Answer:
        """Commit ``batch``, whose body was ``size`` bytes; returns when it is durable.

        Raises:
            Busy: the queue is full, or the server is stopping.
            UnknownSession, SequenceGap: see :func:`datacat.model.fold.fold`.
            StoreError: the store refused; nothing of the batch was kept.
        """
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.offer(batch, size, partial(_resolve, answered))
        return await answered

    def offer(
        self, batch: Batch, size: int, answered: Callable[[Outcome], None], *, requests: int = 1
    ) -> None:
        """The same for whoever has no task that could wait; called in the event loop's thread.

        Args:
            batch: see :meth:`submit`.
            size: of its body, in bytes.
            answered: called in the event loop's thread, for one batch after the other in the order in
                which they were offered.
            requests: of how many it was made.

        Raises:
            Busy: the queue is full, or the server is stopping; ``answered`` is not called then.
        """
        if self._loop is None:
            raise Busy("the server is not ready yet")
        with self._lock:
            if self._stopping:
                raise Busy("the server is stopping: send again in a moment", retry_after=2)
            try:
                waiting = _Waiting(batch, answered)
                self._batcher.offer(waiting, records=len(batch.records), size=size, requests=requests)
            except Busy:
                self.counts.refused += 1
                raise
            if not (self._idle or (self._gathering and self._batcher.ready)):
                return
            self._idle = self._gathering = False
        # Only once all that has arrived is read: else the first of it would be a group of its own,
        # and the others would wait for its commit before theirs.
        self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        with self._lock:
            self._changed.notify()

    async def run(self, do: Callable[[Writer], T]) -> T:
        """Let the committing thread do something short with the writer, between two commits; what it made of it.

        Raises:
            Busy: the server is stopping.
            StoreError: the store refused.
        """
        if self._loop is None:
            raise Busy("the server is not ready yet")
        done: asyncio.Future[T] = self._loop.create_future()
        with self._lock:
            if self._stopping:
                raise Busy("the server is stopping: send again in a moment", retry_after=2)
            self._work.append(_Work(do, done))
            self._changed.notify()
        return await done

    async def stop(self) -> None:
        """Commit what was accepted, then close the store."""
        with self._lock:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _STOP_TIMEOUT)

    def _run(self, opened: Future[None]) -> None:
        try:
            writer = self._open_writer()
        except BaseException as error:  # noqa: BLE001  # it is raised where start() is awaited
            opened.set_exception(error)
            return
        opened.set_result(None)
        try:
            while turn := self._next():
                if isinstance(turn, _Work):
                    self._do(turn, writer)
                    continue
                batches = [waiting.batch for waiting in turn]
                began = time.monotonic()
                committed = commit(writer, batches, self._clock.now())
                now = time.monotonic()
                with self._lock:
                    # Before anybody is answered, who would be counted as waiting when it comes back.
                    self._batcher.committed(now - began, now)
                self._to_loop(self._answer, turn, committed)
                self._count(committed, now - began)
        finally:
            writer.close()

    def _next(self) -> list[_Waiting] | _Work | None:
        """The next group; other work after it, so that neither waits for all of the other; None at the end."""
        with self._lock:
            while True:
                self._idle = self._gathering = False
                pause = 0.0 if self._stopping else self._batcher.pause(time.monotonic())
                if self._work and (self._turn_is_works or pause or not self._batcher.records):
                    self._turn_is_works = False
                    return self._work.popleft()
                if pause:
                    self._gathering = True
                    self._changed.wait(pause)
                elif group := self._batcher.take():
                    self._turn_is_works = True
                    return group
                elif self._stopping:
                    return None
                else:
                    self._idle = True
                    self._changed.wait()

    def _do(self, work: _Work, writer: Writer) -> None:
        try:
            made = work.do(writer)
        except Exception as error:  # noqa: BLE001  # it is raised where run() is awaited
            self._to_loop(_settle, work.done, None, error)
        else:
            self._to_loop(_settle, work.done, made, None)

    def _to_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(call, *arguments)

    def _count(self, committed: Committed, seconds: float) -> None:
        counts = self.counts
        counts.commits += 1
        counts.seconds += seconds
        counts.batches += len(committed.outcomes)
        counts.failed += sum(isinstance(outcome, StoreError) for outcome in committed.outcomes)
        records = 0
        for fold_ in committed.folds:
            records += fold_.answer.accepted
            counts.rejected += len(fold_.answer.rejected)
            counts.lost += fold_.session.lost - (fold_.before.lost if fold_.before else 0)
        counts.records += records
        self.durations.observe(seconds)
        self.sizes.observe(records)

    def _answer(self, group: list[_Waiting], committed: Committed) -> None:
        assert self._loop is not None
        for waiting, outcome in zip(group, committed.outcomes, strict=True):
            try:
                waiting.answered(outcome)
            except Exception:
                # Others wait behind it.
                logger.exception("an answer for session %s could not be given", waiting.batch.session_id)
        if self._committed is not None:
            # A turn later: whoever waits for an answer goes before whoever looks on.
            self._loop.call_soon(self._committed, committed.folds)


def commit(writer: Writer, batches: list[Batch], received: int) -> Committed:
    """Fold and commit a group in one transaction."""
    try:
        with writer.transaction() as transaction:
            return _fold_all(transaction, batches, received)
    except StoreError as error:
        # What is wrong is in the message; a full disk must not be filled with tracebacks.
        logger.error("commit of %d batches failed: %s", len(batches), error)  # noqa: TRY400  # as above
        return Committed([error for _ in batches], [])
    except Exception as error:
        # A batch that nobody foresaw must not take its neighbours with it.
        if len(batches) == 1:
            logger.exception("commit of a batch for session %s failed", batches[0].session_id)
            return Committed([error], [])
        alone = [commit(writer, [batch], received) for batch in batches]
        return Committed(
            [each.outcomes[0] for each in alone], [fold for each in alone for fold in each.folds]
        )


def _fold_all(transaction: Transaction, batches: list[Batch], received: int) -> Committed:
    sessions: dict[str, Session | None] = {}
    folds: list[Folded] = []
    outcomes: list[Outcome] = []
    for batch in batches:
        session_id = batch.session_id
        if session_id not in sessions:
            sessions[session_id] = transaction.load(session_id)
        try:
            folded = fold(sessions[session_id], batch, received)
        except DatacatError as error:
            outcomes.append(error)
            continue
        sessions[session_id] = folded.session
        folds.append(folded)
        outcomes.append(folded.answer)
    transaction.save(folds)
    return Committed(outcomes, folds)


def _settle(done: "asyncio.Future[Any]", made: Any, error: Exception | None) -> None:
    if done.done():
        return  # whoever asked has gone; what was done is kept all the same
    if error is not None:
        done.set_exception(error)
    else:
        done.set_result(made)


def _resolve(answered: "asyncio.Future[Answer]", outcome: Outcome) -> None:
    if isinstance(outcome, Exception):
        _settle(answered, None, outcome)
    else:
        _settle(answered, outcome, None)
