"""The records of one origin of a session, on their way: into the journal, from there to the server."""

import os
from collections import Counter
from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path

from msgspec import Raw, Struct

from datacat.client import procfs
from datacat.client.alive import Alive
from datacat.client.backlog import Backlog
from datacat.client.buffer import Buffer, Waiting
from datacat.client.encode import ANY_FORM, encode_quickly, encode_record
from datacat.client.journal import VERSION as JOURNAL_VERSION
from datacat.client.journal import About
from datacat.client.journals import claim_leftovers, open_journal
from datacat.client.memory import MemoryStage
from datacat.client.options import Options
from datacat.client.shipper import Shipper
from datacat.client.transport import Transport, transports
from datacat.model.clock import Clock
from datacat.model.records import Base, Origin, Start


class Stats(Struct, frozen=True):
    """What became of this session's records so far.

    ``dropped`` counts by kind; ``safe`` says whether what waits would outlive the program.
    """

    shipped: int = 0
    rejected: int = 0
    dropped: dict[str, int] = {}
    waiting: bool = False
    safe: bool = False
    last_error: str | None = None


class Recorder:
    """Takes records at any time from any thread, and has a thread of its own that ships them.

    Args:
        session_id: whose they are.
        start: the first of them; written when :meth:`open` is called, or another is recorded.
        options: see :class:`datacat.client.options.Options`.
        clock: the time.
        transport: the way to the server; by default HTTP to ``options.url``.
        origin: who writes them.
        last_seq: the number of the last record before these.
        base: see :class:`datacat.client.backlog.Backlog`.
        ship_leftovers: whether to ship what dead programs left, if nobody else in this process does.
        contact_every: see :class:`datacat.client.shipper.Shipper`.
        complain: told once, in a sentence, when the journal cannot be written.
        leaves, at_rest: see :class:`datacat.client.shipper.Shipper`.
    """

    def __init__(
        self,
        session_id: str,
        start: Start,
        options: Options,
        clock: Clock,
        *,
        transport: Transport | None = None,
        origin: Origin = Origin.APP,
        last_seq: int = 0,
        base: int | None = 0,
        ship_leftovers: bool = True,
        contact_every: float | None = None,
        complain: Callable[[str], None] = lambda _: None,
        leaves: bool = False,
        at_rest: Callable[[], None] = lambda: None,
    ) -> None:
        self.opened = False
        self._start = start
        self._exit_timeout = options.exit_timeout
        line = encode_quickly(start)
        about = About(
            JOURNAL_VERSION,
            session_id,
            options.url,
            Raw(line),
            origin=origin,
            process_start=procfs.start_time(os.getpid()),
            says_goodbye=origin is Origin.APP and options.end_at_exit,
            base=base,
        )
        journal = (
            open_journal(about, options.max_journal_bytes, options.drop_first, clock)
            if options.journal
            else None
        )
        memory = MemoryStage(clock, options.max_buffer_bytes, options.drop_first)
        self._buffer = Buffer(clock, memory, journal, last_seq=last_seq)
        self.append = self._buffer.append
        self._backlog = Backlog(self._buffer, clock, after=last_seq, base=base, start=line[1:])
        # Whoever says no goodbye is never said to have gone.
        self._alive = Alive(journal.writer.folder, clock) if journal and about.says_goodbye else None
        to_server = transports(options.url, options.key)
        self._shipper = Shipper(
            session_id,
            self._buffer,
            self._backlog,
            transport or to_server(options.url, origin),
            claim=partial(claim_leftovers, clock, to_server) if journal and ship_leftovers else None,
            contact_every=contact_every,
            complain=complain,
            leaves=leaves,
            at_rest=at_rest,
        )

    def open(self) -> bool:
        """Record the start, and begin to ship; False where that was done, or is being done, already."""
        time = self._start.time
        first = self._buffer.open("start", ANY_FORM, time, encode_record(copy(self._start)))
        if first:
            self._shipper.start()
            if self._alive is not None:
                self._alive.start()
        self.opened = True
        return first

    def record(self, kind: str, record: Base) -> None:
        """Add a record; its number and its time go their own way into the line."""
        if not self.opened:
            self.open()
        time = record.time
        self.append(kind, ANY_FORM, time, encode_record(record))

    def go_on(self) -> None:
        """Ship what was recorded after :meth:`finish`, and come to rest again."""
        self._shipper.go_on()

    @property
    def folder(self) -> Path | None:
        """Where the journal is; None without one."""
        return self._buffer.folder

    @property
    def stats(self) -> Stats:
        """What became of the records so far."""
        delivery = self._shipper.delivery
        return Stats(
            shipped=delivery.shipped,
            rejected=delivery.rejected,
            dropped=dict(Counter(self._buffer.dropped) + self._backlog.given_up),
            waiting=self._backlog.waiting,
            safe=self._buffer.safe,
            last_error=delivery.last_error,
        )

    def flush(self, timeout: float) -> bool:
        """Wait until the server has everything, at most ``timeout`` seconds; whether it has."""
        whole = self._buffer.take_along()
        return self._shipper.flush(timeout) and whole

    def finish(self) -> bool:
        """As :meth:`flush`, and leave nothing behind on the disk; see :meth:`Shipper.finish`."""
        if self._alive is not None:
            self._alive.stop()
        return not self.opened or self._shipper.finish(self._exit_timeout)

    # Forks

    def hold(self) -> None:
        """Before a fork: nobody is in the middle of anything until :meth:`let_go`."""
        self._buffer.hold()

    def let_go(self) -> None:
        """After a fork, in the parent."""
        self._buffer.let_go()

    def abandon(self) -> list[Waiting]:
        """In a forked child: let go of what is the parent's; the records that came meanwhile are the child's."""
        return self._buffer.abandon()
