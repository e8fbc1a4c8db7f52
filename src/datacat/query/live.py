"""Who listens, and what they are told of commits; all of it in the event loop.

What must hold:

- **A reader is never a brake.** What is told stands once in one ring, bounded in messages and bytes, and a
  reader is a place in it: a slow one is overtaken, and told so. What is told in a moment is bounded too; the
  rest is counted, and the count is told.
- **With nobody listening nothing is done.** What a reader wanted is kept up for a while after it has left, so
  that it finds what it missed when it comes back.
- **A gap is told.** A place that the ring no longer holds, or never held for what is asked, is answered with one.
"""

import asyncio
import re
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from datacat.model.clock import Clock
from datacat.model.errors import Busy, InvalidInput, UnknownSession
from datacat.model.fold import Folded
from datacat.model.session import Session
from datacat.query.gaps import Gap, gap_of
from datacat.query.news import Commit, Filter, Kind
from datacat.query.ring import Item, Ring
from datacat.wire.codec import encode
from datacat.wire.sse import message
from datacat.wire.timestamps import rfc3339

MOST_READERS: Final = 200

PERIOD: Final = 1.0
"""Seconds over which what is told is bounded."""
MOST_TOLD: Final = 1_000
"""Messages in such a period: more than anybody reads, and a hundredth of what is ingested at its busiest."""
MOST_TOLD_BYTES: Final = 4 * 1024 * 1024

LINGER: Final = 60.0
"""Seconds for which it is kept up what a reader wanted that has left."""

_CHUNK: Final = 256 * 1024

_ID: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")

Later = Callable[[float, Callable[[], None]], Any]
"""Calls something so many seconds later."""


class Overtaken(Exception):
    """What a reader has not yet read is no longer held."""


class Counts(Struct):
    """What was done since the start."""

    messages: int = 0
    left_out: int = 0
    cut: int = 0


class _Piece(Struct, frozen=True):
    """The wanted ones of the messages numbered above ``begin``, up to ``end``, as they travel."""

    begin: int
    end: int
    messages: int
    data: bytes


class _Cover(Struct):
    """What is kept up for the readers of one filter: the messages numbered above ``since``.

    ``piece`` is what one of them took last: others, who come from the same place, take the same.
    """

    since: int
    readers: int = 0
    joined: int = 0
    piece: _Piece = _Piece(-1, -1, 0, b"")


class Reader:
    """One reader of what happens in all sessions: a filter, and a place in the ring.

    ``ready`` is set when there may be something to take; ``gap`` is what it has missed before it came.
    """

    def __init__(self, hub: "Hub", wanted: Filter, place: int, gap: Gap | None) -> None:
        self._hub = hub
        self.wanted = wanted
        self.place = place
        self.gap = gap
        self.ready = asyncio.Event()

    @property
    def id(self) -> str:
        """The id from which to go on."""
        return self._hub.id_of(self.place)

    def take(self) -> bytes:
        """The next messages that are wanted, as they travel; empty when there are none.

        Raises:
            Overtaken: some are no longer held.
        """
        piece = self._hub.piece(self.wanted, self.place)
        self.place = piece.end
        if self.place == self._hub.ring.last:
            self.ready.clear()
        self._hub.counts.messages += piece.messages
        return piece.data

    def leave(self) -> None:
        """Be forgotten."""
        self._hub.forget_reader(self)


class Watch:
    """One reader of one session: told that there is more of it, not what; it reads that from the store.

    ``ready`` is set when there is.
    """

    def __init__(self, hub: "Hub", session_id: str) -> None:
        self._hub = hub
        self.session_id = session_id
        self._session: Session | None = None
        self._problems = False
        self._removed = False
        self.ready = asyncio.Event()

    def tell(self, folded: Folded) -> None:
        """There is more."""
        self._session = folded.session
        self._problems |= bool(folded.problems)
        self.ready.set()

    def tell_removed(self) -> None:
        """There is no more."""
        self._removed = True
        self.ready.set()

    def take(self) -> tuple[Session | None, bool]:
        """The session as the last commit left it, None for no commit yet, and whether problems have changed.

        Raises:
            UnknownSession: it was removed.
        """
        if self._removed:
            raise UnknownSession(self.session_id)
        problems, self._problems = self._problems, False
        self.ready.clear()
        return self._session, problems

    def leave(self) -> None:
        """Be forgotten."""
        self._hub.forget_watch(self)


def _later(seconds: float, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, call)


class Hub:
    """Hands what is committed to whoever listens.

    Args:
        clock: the server's time.
        ring: holds the last messages.
        later: calls something later.
        most_readers: more than this are turned away.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        ring: Ring | None = None,
        later: Later = _later,
        most_readers: int = MOST_READERS,
    ) -> None:
        self._clock = clock
        self._later = later
        self._most_readers = most_readers
        self._run = clock.now() // 1_000
        self._covers: dict[Filter, _Cover] = {}
        self._readers: set[Reader] = set()
        self._watches: dict[str, set[Watch]] = {}
        self._left_out: dict[Filter, dict[Kind, int]] = {}
        self._in_period = False
        self._room = MOST_TOLD
        self._room_bytes = MOST_TOLD_BYTES
        self.ring = ring or Ring()
        self.counts = Counts()
        self.closed = asyncio.Event()

    @property
    def readers(self) -> int:
        """How many listen."""
        return len(self._readers) + sum(map(len, self._watches.values()))

    def id_of(self, number: int) -> str:
        """The id of a message: which run of the service, and its number there."""
        return f"{self._run}-{number}"

    def subscribe(self, wanted: Filter, last_id: str | None) -> Reader:
        """A new reader, who goes on behind ``last_id``, or begins with what comes next.

        Raises:
            Busy: there are too many readers, or the service is stopping.
            InvalidInput: code ``bad_cursor``, when ``last_id`` is no id of this stream.
        """
        place, reason = self._place(wanted, last_id)
        self._admit()
        gap = None if reason is None else gap_of(reason, rfc3339(self._clock.now()))
        cover = self._covers.pop(wanted, None) or _Cover(self.ring.last)
        cover.readers += 1
        cover.joined += 1
        # It goes to the end: those that nobody has joined for longest are the first to be given up.
        self._covers[wanted] = cover
        reader = Reader(self, wanted, place, gap)
        if place < self.ring.last:
            reader.ready.set()
        self._readers.add(reader)
        return reader

    def watch(self, session_id: str) -> Watch:
        """A new reader of one session.

        Raises:
            Busy: there are too many readers, or the service is stopping.
        """
        self._admit()
        watch = Watch(self, session_id)
        self._watches.setdefault(session_id, set()).add(watch)
        return watch

    def piece(self, wanted: Filter, place: int) -> _Piece:
        """What a reader at ``place`` takes next; made once for all who come from there.

        Raises:
            Overtaken: some of it is no longer held.
        """
        ring, cover = self.ring, self._covers[wanted]
        if place + 1 < ring.first:
            raise Overtaken
        if cover.piece.begin != place or cover.piece.end == place:
            taken: list[bytes] = []
            room, end = _CHUNK, place
            while end < ring.last and room > 0:
                end += 1
                item = ring[end]
                if _wants(wanted, item):
                    taken.append(item.data)
                    room -= len(item.data)
            cover.piece = _Piece(place, end, len(taken), b"".join(taken))
        return cover.piece

    def forget_reader(self, reader: Reader) -> None:
        """The reader has gone; what it wanted is kept up for a while."""
        if reader not in self._readers:
            return
        self._readers.remove(reader)
        cover = self._covers[reader.wanted]
        cover.readers -= 1
        if not cover.readers:
            joined = cover.joined
            self._later(LINGER, lambda: self._give_up(reader.wanted, joined))
            idle = [wanted for wanted, each in self._covers.items() if not each.readers]
            for wanted in idle[: -self._most_readers]:
                del self._covers[wanted]

    def forget_watch(self, watch: Watch) -> None:
        """The reader has gone."""
        watches = self._watches.get(watch.session_id, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(watch.session_id, None)

    def committed(self, folds: list[Folded]) -> None:
        """Tell whoever listens; see :class:`datacat.ingest.committer.Committer`."""
        if self._watches:
            for folded in folds:
                for watch in self._watches.get(folded.session.id, ()):
                    watch.tell(folded)
        if self._covers:
            last = self.ring.last
            reached: set[Filter] = set()
            for folded in folds:
                if covers := [wanted for wanted in self._covers if wanted.of(folded.session)]:
                    reached.update(covers)
                    self._tell(folded, covers)
            self._wake(last, reached)

    def removed(self, session_id: str) -> None:
        """Tell whoever follows that session: nobody commits a removal."""
        for watch in self._watches.get(session_id, ()):
            watch.tell_removed()

    def close(self) -> None:
        """The service is stopping: every stream ends."""
        self.closed.set()
        for reader in self._readers:
            reader.ready.set()
        for watches in self._watches.values():
            for watch in watches:
                watch.ready.set()

    def _admit(self) -> None:
        if self.closed.is_set():
            raise Busy("the server is stopping: connect again in a moment", retry_after=2)
        if self.readers >= self._most_readers:
            raise Busy(
                f"{self._most_readers} readers follow what happens, and more may not: "
                "close one, or ask for pages instead",
                retry_after=10,
            )

    def _place(self, wanted: Filter, last_id: str | None) -> tuple[int, str | None]:
        """Where to begin, and why not where it was asked for."""
        now = self.ring.last
        if not last_id:
            return now, None
        match = _ID.fullmatch(last_id)
        if match is None:
            raise InvalidInput(
                "bad_cursor",
                "Last-Event-ID is no id of this stream: send the id of the last message, or leave it out",
                field="Last-Event-ID",
                found=repr(last_id[:80]),
                expected="the id of a message of this stream",
            )
        run, number = int(match[1]), int(match[2])
        if run != self._run:
            return now, "restarted"
        cover = self._covers.get(wanted)
        if cover is None or not max(cover.since, self.ring.first - 1) <= number <= now:
            return now, "forgotten"
        return number, None

    def _give_up(self, wanted: Filter, joined: int) -> None:
        cover = self._covers.get(wanted)
        if cover is not None and not cover.readers and cover.joined == joined:
            del self._covers[wanted]
        if not self._covers:
            self.ring.clear()

    def _tell(self, folded: Folded, covers: list[Filter]) -> None:
        kinds = frozenset[Kind]().union(*(wanted.kinds for wanted in covers))
        commit = Commit(folded, kinds, min(wanted.least_level for wanted in covers))
        left = commit.counts
        if not any(left.values()):
            return
        if not self._in_period:
            self._in_period = True
            self._later(PERIOD, self._end_period)
        names = folded.session.product, folded.session.version, folded.session.environment
        for news in islice(commit.news(self._clock.now()), self._room):
            left[news.kind] -= 1
            data = message(news.kind, news.data, self.id_of(self.ring.last + 1))
            self.ring.append(Item(data, news.kind, news.level, names))
            self._room -= 1
            self._room_bytes -= len(data)
            if self._room_bytes < 0:
                self._room = 0
                break
        if any(left.values()):
            self._leave_out(left, covers)

    def _leave_out(self, left: dict[Kind, int], covers: list[Filter]) -> None:
        self.counts.left_out += sum(left.values())
        for wanted in covers:
            counts = self._left_out.setdefault(wanted, {})
            for kind in wanted.kinds:
                if left[kind]:
                    counts[kind] = counts.get(kind, 0) + left[kind]

    def _end_period(self) -> None:
        self._in_period = False
        self._room, self._room_bytes = MOST_TOLD, MOST_TOLD_BYTES
        left_out, self._left_out = self._left_out, {}
        last = self.ring.last
        now = rfc3339(self._clock.now())
        for wanted, counts in left_out.items():
            if counts and wanted in self._covers:
                gap = message("gap", encode(gap_of("too_many", now, counts)), self.id_of(self.ring.last + 1))
                self.ring.append(Item(gap, "gap", only=wanted))
        self._wake(last, set(left_out))

    def _wake(self, last: int, reached: set[Filter]) -> None:
        """Wake whom the messages behind ``last`` may concern; whoever had read all goes past those that do not."""
        if self.ring.last == last:
            return
        for reader in self._readers:
            if reader.wanted in reached:
                reader.ready.set()
            elif reader.place == last:
                reader.place = self.ring.last


def _wants(wanted: Filter, item: Item) -> bool:
    if item.session is None:
        return item.only == wanted
    product, version, environment = item.session
    return (
        item.kind in wanted.kinds
        and item.level >= wanted.least_level
        and wanted.product in (None, product)
        and wanted.version in (None, version)
        and wanted.environment in (None, environment)
    )
