"""Where a program's records wait until the server has them: in the journal, else in memory.

What must hold:

- **Adding never deadlocks and waits for nobody but another add**, whoever calls: many threads, a
  signal handler or a ``__del__`` in the middle of another add. The lock is held for as long as a
  record is copied; the same thread gets it again, sees that it interrupted itself, and leaves its
  record for the interrupted call to take along.
- **One order.** Records are numbered as they go in; whoever interrupts is numbered after.
- **The journal first.** When it cannot be written, records wait in memory, all of them, so that the
  order holds; they move to the journal as soon as it can be written again.
"""

import threading
from collections import Counter, deque
from pathlib import Path
from threading import get_ident
from time import sleep
from typing import Final

from msgspec import Struct

from datacat.client.backlog import Entry
from datacat.client.budget import Budget
from datacat.client.journal import JournalWriter
from datacat.client.journal_reader import ForeignJournal, JournalReader
from datacat.client.journal_root import remove_folder, set_aside
from datacat.client.memory import MemoryStage
from datacat.model.clock import Clock

_BITE: Final = 500
"""Records moved from memory to the journal with the lock held once: a few hundred microseconds."""


Waiting = tuple[str, bytes, int, bytes]
"""The arguments of :meth:`Buffer.append`."""


_YIELD: Final = 0.00005
"""Seconds: long enough that the other thread gets the interpreter."""


class Journal(Struct, frozen=True):
    """A journal's two sides, and what it may take from the disk."""

    writer: JournalWriter
    reader: JournalReader
    budget: Budget


class Buffer:
    """The records of one session.

    Args:
        clock: the time.
        memory: where records wait that cannot go into the journal.
        journal: None for a buffer that lives and dies with the process.
        last_seq: the number of the last record before these.
    """

    def __init__(
        self, clock: Clock, memory: MemoryStage, journal: Journal | None = None, *, last_seq: int = 0
    ) -> None:
        self._clock = clock
        self._memory = memory
        self._journal = journal
        self._write = journal.writer.write if journal else _nowhere
        self._lock = threading.RLock()
        self._adding = 0
        """How many are in the middle of something, one within the other: an append, forks."""
        self._turn = 0
        self._interrupting: deque[Waiting] = deque()
        self._told = False
        self._opened = False
        self.last_seq = last_seq

    def open(self, kind: str, form: bytes, time: int, rest: bytes) -> bool:
        """Add the first record, before whatever else comes; False when that was done already."""
        with self._lock:
            if self._opened:
                return False
            self.append(kind, form, time, rest)
            self._opened = True
        return True

    def append(self, kind: str, form: bytes, time: int, rest: bytes) -> None:
        """Add a record, whose line is ``form % (number, time, rest)``.

        Args:
            kind: its type.
            form: the line, to be filled.
            time: when, in microseconds since the epoch.
            rest: what else it says, as JSON.
        """
        me = get_ident()
        if self._turn and self._turn != me:
            self._wait_for_turn()
        try:
            self._turn = me
            with self._lock:
                if self._adding:
                    self._interrupting.append((kind, form, time, rest))
                    return
                self._adding = 1
                try:
                    self._put(kind, form, time, rest)
                finally:
                    self._adding = 0
        finally:
            self._turn = 0
        if self._interrupting:
            self.take_along()

    def _put(self, kind: str, form: bytes, time: int, rest: bytes) -> None:
        self.last_seq = seq = self.last_seq + 1
        line = form % (seq, time, rest)
        if self._memory or not self._write(kind, seq, line, time):
            self._memory.append(Entry(seq, seq, kind, line))

    def take_along(self) -> bool:
        """Add what interrupted another add; False where some is left, as that one goes on when this returns."""
        with self._lock:
            while self._interrupting and not self._adding:
                self._adding = 1
                try:
                    while self._interrupting:
                        self._put(*self._interrupting.popleft())
                finally:
                    self._adding = 0
            return not self._interrupting

    def _wait_for_turn(self) -> None:
        """Wait while another thread adds, without asking for the lock.

        Whoever sleeps on a lock is given it before it has the interpreter, and makes all others sleep
        on it in turn: each call would cost two changes of thread. Nothing but speed hangs on this.
        """
        while self._turn:
            sleep(_YIELD)

    # Towards the server: one thread reads, and keeps the journal in order

    def read(self, after: int, max_bytes: int, max_records: int) -> list[Entry]:
        """The oldest records numbered above ``after``."""
        if self._journal:
            try:
                found = self._journal.reader.read(after, max_bytes, max_records)
            except ForeignJournal as error:
                # Somebody wrote over it. What it held is found missing by the numbers around it.
                self._journal.writer.complaint = f"{error}; it is kept in {set_aside(error.path)}"
                found = [] if error.path.exists() else self.read(after, max_bytes, max_records)
            if found:
                return found
        with self._lock:
            return self._memory.read(after, max_bytes, max_records)

    def release(self, last_seq: int) -> None:
        """Let go of everything up to ``last_seq``."""
        if self._journal:
            self._journal.reader.release(last_seq)
        with self._lock:
            self._memory.release(last_seq)

    def rewind(self) -> None:
        """Read again from the oldest that is still there."""
        if self._journal:
            self._journal.reader.rewind()

    def set_base(self, base: int) -> None:
        """Remember what is added to the records' numbers; see :class:`datacat.client.backlog.Source`."""
        if self._journal:
            with self._lock:
                self._journal.writer.set_base(base)

    @property
    def dropped(self) -> dict[str, int]:
        """How many records were given up for want of room, by kind."""
        return dict(self._memory.dropped + (self._journal.reader.dropped if self._journal else Counter()))

    @property
    def folder(self) -> Path | None:
        """Where the journal is; None without one."""
        return self._journal.writer.folder if self._journal else None

    @property
    def safe(self) -> bool:
        """Whether everything recorded so far would outlive the process."""
        return self._journal is not None and not self._memory and not self._interrupting

    def keep_up(self, after: int) -> str | None:
        """All that a call should not be burdened with; a complaint, the first time there is one.

        Args:
            after: the server has everything up to this number.
        """
        if self._journal is None:
            return None
        writer = self._journal.writer
        with self._lock:
            segment = writer.segment
            retired = writer.retired()
            writer.retry()
            spare = writer.wanted_spare()
            for each in (*retired, segment):
                if each is not None:
                    self._journal.reader.adopt(each.number, each.file)
        for each in retired:
            each.close()
        if segment is not None and not segment.intact():
            with self._lock:
                writer.replace(segment)
        if spare is not None:
            made = writer.make_spare(*spare)
            with self._lock:
                writer.take_spare(made)
        room = self._journal.budget.room(writer.room, self._journal.reader, after)
        with self._lock:
            writer.room += room
        self._move_to_journal()
        if writer.complaint and not self._told:
            self._told = True
            return writer.complaint
        return None

    def _move_to_journal(self) -> None:
        while True:
            with self._lock:
                for _ in range(min(_BITE, len(self._memory))):
                    entry = self._memory.popleft()
                    if not self._write(entry.kind, entry.seq, entry.line, self._clock.now()):
                        self._memory.appendleft(entry)
                        return
                if not self._memory:
                    return

    # Its end, and forks

    def discard(self, acknowledged: int) -> None:
        """Remove the journal, if everything in it is acknowledged. A later record makes it anew."""
        if self._journal is None:
            return
        with self._lock:
            if acknowledged < self.last_seq or self._memory:
                return
            self._journal.writer.close(after_the_end=True)
            self._journal.reader.close()
            remove_folder(self._journal.writer.folder)

    def leave(self) -> int | None:
        """Let go of the journal, for whoever ships what was left, and say which is the last record in it.

        None where not all that waits is there, or its numbers are not known yet. A later record opens it again.
        """
        if self._journal is None:
            return None
        with self._lock:
            if not (self.safe and self._journal.writer.settled):
                return None
            self._journal.writer.close(after_the_end=True)
            self._journal.reader.close()
            return self.last_seq

    def hold(self) -> None:
        """Before a fork: nobody is in the middle of anything until :meth:`let_go`.

        A signal handler may fork in the middle of a fork, so they nest.
        """
        self._lock.acquire()
        self._adding += 1

    def let_go(self) -> None:
        """After a fork, in the parent."""
        self._adding -= 1
        self._lock.release()
        self.take_along()

    def abandon(self) -> list[Waiting]:
        """In a forked child: let go of what is the parent's; the records that came meanwhile are the child's."""
        if self._journal is not None:
            self._journal.writer.abandon()
        return list(self._interrupting)


def _nowhere(kind: str, seq: int, line: bytes, time: int) -> bool:  # noqa: ARG001  # as a journal's
    """Where there is no journal, nothing can be written."""
    return False
