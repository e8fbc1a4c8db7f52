"""What the server has not acknowledged yet, as a log without gaps. Pure: it waits for nobody.

A source (the buffer of a living program, the journal of a dead one) gives the records that it
still has. Here they become what the wire asks for: numbers that follow each other, where what is
missing is covered by a loss record, and a session that the server does not know begins with its
start.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from datacat.model.clock import Clock
from datacat.model.records import Loss

KINDS: Final = ("", "start", "state", "event", "metric", "heartbeat", "loss", "exit", "end")
"""A record's kind is stored as its place here; only ever add at the end."""

KEPT: Final = frozenset({"start", "exit", "end", "loss"})
"""What is never given up for want of room."""

_encode: Final = msgspec.json.Encoder().encode
_losses: Final = msgspec.json.Decoder(Loss)


class Entry(Struct, gc=False):
    """A numbered line with its line end; of a loss, ``first`` is the first number it covers."""

    first: int
    seq: int
    kind: str
    line: bytes


class Chunk(Struct, frozen=True):
    """Lines to send, in order."""

    entries: list[Entry]

    @property
    def body(self) -> bytes:
        """The lines as NDJSON."""
        return b"".join([entry.line for entry in self.entries])


class Source(Protocol):
    """Where records wait."""

    def read(self, after: int, max_bytes: int, max_records: int) -> list[Entry]:
        """The oldest records numbered above ``after``, at least one if there is any."""
        ...

    def release(self, last_seq: int) -> None:
        """Nothing up to ``last_seq`` is asked for again, but for :meth:`rewind`."""
        ...

    def rewind(self) -> None:
        """Read again from the oldest record that is still there."""
        ...

    def set_base(self, base: int) -> None:
        """Remember, as long as the records, what is added to their numbers.

        Raises:
            OSError: they would outlive the process, and this would not.
        """
        ...

    @property
    def last_seq(self) -> int:
        """The number of the newest record."""
        ...


class Backlog:
    """The records of one origin on their way to the server.

    Args:
        source: where they wait.
        clock: when a loss is told.
        after: the server is thought to have everything up to this number.
        base: what is added to the source's numbers on their way, as the server has records of an earlier run; None
            where it is to be asked for them first, see :meth:`settle`.
        start: the session's start record as a line without its number: ``"type":"start",…}``.
    """

    def __init__(
        self, source: Source, clock: Clock, *, after: int = 0, base: int | None = 0, start: bytes = b""
    ) -> None:
        self._source = source
        self._clock = clock
        self._base = base or 0
        self.settled = base is not None
        self._after = 0 if base is None else after + base
        self._start = start
        self._refused: dict[int, Entry] = {}
        self.given_up: Counter[str] = Counter()

    def take(self, max_bytes: int, max_records: int) -> Chunk | None:
        """The oldest lines, which stay until acknowledged; None when nothing waits."""
        found = self._source.read(self.acknowledged, max_bytes, max_records)
        if not found:
            return None
        if self._base:
            found = [_moved(entry, self._base) for entry in found]
        entries: list[Entry] = []
        after = self._after
        for entry in found:
            if after == 0 and entry.first > 1 and self._start:
                entries.append(Entry(1, 1, "start", numbered(1, self._start)))
                after = 1
            if entry.first > after + 1:
                entries.append(loss(self._clock, after + 1, entry.first - 1, "missing from the journal"))
            given_up = self._refused and entry.kind != "loss"
            entries.append(self._refused.get(entry.seq, entry) if given_up else entry)
            after = entry.seq
        return Chunk(entries[:max_records])

    def acknowledge(self, last_seq: int) -> None:
        """Let go of everything up to ``last_seq``: the server has it."""
        self._after = max(self._after, last_seq)
        self._source.release(self.acknowledged)
        if self._refused:
            self._refused = {seq: entry for seq, entry in self._refused.items() if seq > last_seq}

    def go_back(self, last_seq: int) -> None:
        """The server has no more than ``last_seq``: what is next will follow it without a gap."""
        self._after = last_seq
        self._source.rewind()

    def drop(self, entry: Entry, reason: str) -> None:
        """Give one record up; a loss record takes its place."""
        self.given_up[entry.kind] += 1
        self._refused[entry.seq] = loss(self._clock, entry.first, entry.seq, reason, {entry.kind: 1})

    def settle(self, last_seq: int) -> None:
        """The server has records up to ``last_seq``: the oldest one here follows them.

        Raises:
            OSError: that cannot be written down, and so nothing may be sent yet.
        """
        found = self._source.read(0, 1, 1)
        base = last_seq + 1 - (found[0].first if found else 1)
        self._source.set_base(base)
        self._base, self._after = base, last_seq
        self.settled = True

    @property
    def acknowledged(self) -> int:
        """The server has everything up to this number of the source's."""
        return self._after - self._base

    @property
    def waiting(self) -> bool:
        """Whether anything is not yet acknowledged."""
        return self._source.last_seq > self.acknowledged


def numbered(seq: int, body: bytes) -> bytes:
    """A record's line: ``body`` is the record as JSON, without a number and without its first brace."""
    return b'{"seq":%d,%b\n' % (seq, body)


def loss(clock: Clock, first: int, seq: int, reason: str, counts: dict[str, int] | None = None) -> Entry:
    """The record that says that ``first`` to ``seq`` will never arrive."""
    record = Loss(seq=seq, time=clock.now(), first=first, reason=reason, counts=counts or {})
    return Entry(first, seq, "loss", _encode(record) + b"\n")


def _moved(entry: Entry, base: int) -> Entry:
    """The same with numbers that are higher by ``base``."""
    first, seq = entry.first + base, entry.seq + base
    if entry.kind == "loss":
        record = _losses.decode(entry.line)
        record.first, record.seq = first, seq
        return Entry(first, seq, "loss", _encode(record) + b"\n")
    line = entry.line.replace(b'"seq":%d,' % entry.seq, b'"seq":%d,' % seq, 1)
    return Entry(first, seq, entry.kind, line)


def without(entries: Iterable[Entry], doomed: set[int], clock: Clock, reason: str) -> list[Entry]:
    """``entries`` with one loss record in the place of each run of neighbours that go, or went before."""
    kept: list[Entry] = []
    for entry in entries:
        goes = entry.seq in doomed
        if not goes and entry.kind != "loss":
            kept.append(entry)
            continue
        counts = Counter({entry.kind: 1} if goes else _losses.decode(entry.line).counts)
        first = entry.first
        if kept and kept[-1].kind == "loss" and kept[-1].seq == first - 1:
            neighbour = kept.pop()
            first = neighbour.first
            counts.update(_losses.decode(neighbour.line).counts)
        elif not goes:
            kept.append(entry)
            continue
        kept.append(loss(clock, first, entry.seq, reason, dict(counts)))
    return kept
