"""The reading side of a journal: in the program that writes it, and after its death.

It asks the files and nothing else, so it reads the same whoever reads. Where a file ends in the
middle of a frame, or is gone, the next one goes on, and the numbers tell what is missing.
"""

import contextlib
import os
import weakref
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec
from msgspec import Struct

from datacat.client.backlog import KEPT, KINDS, Entry, without
from datacat.client.journal import (
    ABOUT_NAME,
    FRAME,
    HEADER,
    LENGTH_MASK,
    MAGIC,
    SUFFIX,
    UNFINISHED,
    VERSION,
    About,
    describe,
    frame,
    segment_header,
    segment_name,
)
from datacat.model.clock import Clock
from datacat.model.records import Loss

_ENDS: Final = frozenset({"end", "exit"})
_BLOCK: Final = 256 * 1024
_ADOPTED: Final = 8
"""Files that are held open against their removal; those of a long outage would be too many."""

_losses: Final = msgspec.json.Decoder(Loss)

_WORTH_IT: Final = 4
"""A sweep that frees less than this part of a segment is left: records that stand alone each leave a loss."""


class _Time(Struct):
    time: int


_times: Final = msgspec.json.Decoder(_Time)


class ForeignJournal(Exception):  # named for what happened, as all our errors
    """Something that this version cannot read stands at ``path``; it is never deleted unread."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(what)
        self.path = path


class _Place(Struct, frozen=True, gc=False):
    """After the record ``seq``: which segment, and the byte in it."""

    seq: int
    number: int
    offset: int


class JournalReader:
    """A journal as a source of records.

    Args:
        folder: the session's directory.
        session_id: whose it is.
        clock: when a loss is told.
    """

    def __init__(self, folder: Path, session_id: str, clock: Clock) -> None:
        self._folder = folder
        self._header = segment_header(session_id)
        self._clock = clock
        self._files: dict[int, int] = {}
        self._at = _Place(0, 0, 0)
        self._given: deque[_Place] = deque()
        self.dropped: Counter[str] = Counter()
        self.last_seq = 0
        self.last_time = 0
        self.ended = False
        _readers.add(self)

    def read(self, after: int, max_bytes: int, max_records: int) -> list[Entry]:
        """The oldest records numbered above ``after``.

        Raises:
            ForeignJournal: a segment is of another version, or not ours.
        """
        entries: list[Entry] = []
        self._given.clear()
        size = 0
        for entry, place in self._entries(self._at):
            if entry.seq <= after:
                if not entries:
                    self._at = place
                continue
            if entries and (size + len(entry.line) > max_bytes or len(entries) == max_records):
                break
            entries.append(entry)
            self._given.append(place)
            size += len(entry.line)
        return entries

    def adopt(self, number: int, file: int) -> None:
        """Read a segment through ``file``, which stays its owner's, whatever becomes of its name meanwhile."""
        if number >= self._at.number and number not in self._files and len(self._files) < _ADOPTED:
            self._files[number] = os.dup(file)

    def release(self, last_seq: int) -> None:
        """Remove the segments before the record after ``last_seq``."""
        while self._given and self._given[0].seq <= last_seq:
            self._at = self._given.popleft()
        for number in self._numbers():
            if number < self._at.number:
                self._close(number)
                with contextlib.suppress(OSError):
                    (self._folder / segment_name(number)).unlink()

    def rewind(self) -> None:
        """Read again from the oldest segment."""
        self._at = _Place(0, 0, 0)

    def set_base(self, base: int) -> None:
        """Write down what is added to the records' numbers; only for who holds the journal.

        Raises:
            OSError: it cannot be.
        """
        about = msgspec.json.decode((self._folder / ABOUT_NAME).read_bytes(), type=About)
        about.base = base
        describe(self._folder, about)

    def survey(self) -> int:
        """The number of the oldest record, 0 when there is none.

        Sets :attr:`last_seq` and :attr:`last_time` to those of the newest, and :attr:`ended` to
        whether there is an end.
        """
        first = 0
        newest = b""
        for entry, _ in self._entries(_Place(0, 0, 0)):
            first = first or entry.first
            self.last_seq, newest = entry.seq, entry.line
            self.ended = self.ended or entry.kind in _ENDS
        if newest:
            self.last_time = _times.decode(newest).time
        return first

    def size(self) -> int:
        """Bytes of records still to be read."""
        total = 0
        for number in self._numbers():
            with contextlib.suppress(OSError):
                total += (self._folder / segment_name(number)).stat().st_size
        return max(0, total - self._at.offset)

    def sweep(self, excess: int, drop_first: Sequence[str], after: int) -> int:
        """Give the oldest records up, until ``excess`` bytes are free on the disk; how many are.

        The newest segment is left: it may be written to. Not to be called between read and release.
        """
        freed = 0
        for kind in (*drop_first, None):
            for number in self._numbers()[:-1]:
                if freed >= excess:
                    return freed
                if number >= self._at.number and self._has_frames_after(number):
                    freed += self._rewrite(number, kind, after)
        return freed

    def close(self) -> None:
        """Close every file."""
        for number in list(self._files):
            self._close(number)

    def _rewrite(self, number: int, kind: str | None, after: int) -> int:
        """One segment without what may go; the bytes that are free then."""
        path = self._folder / segment_name(number)
        try:
            before = path.stat().st_size
            entries = [entry for entry, _ in self._segment(number, 0) if entry.seq > after]
            doomed = {
                entry.seq for entry in entries if (entry.kind == kind if kind else entry.kind not in KEPT)
            }
            kept = without(entries, doomed, self._clock, "the journal was full")
            content = self._header + b"".join(frame(each.kind, each.seq, each.line) for each in kept)
            if not doomed or before - len(content) < before // _WORTH_IT:
                return 0
            unfinished = path.with_suffix(UNFINISHED)
            unfinished.write_bytes(content)
            unfinished.replace(path)
        except OSError:
            return 0
        self.dropped.update(entry.kind for entry in entries if entry.seq in doomed)
        self._close(number)
        if number == self._at.number:
            self._at = _Place(self._at.seq, number, 0)
        return before - len(content)

    def _entries(self, start: _Place) -> Iterator[tuple[Entry, _Place]]:
        number, offset = start.number, start.offset
        if number == 0:
            numbers = self._numbers()
            if not numbers:
                return
            number = numbers[0]
        while True:
            following = self._has_frames_after(number)
            # What follows was looked for first: so what is read now is all that this segment will have.
            yield from self._segment(number, offset)
            if following is None:
                return
            number, offset = following, 0

    def _segment(self, number: int, offset: int) -> Iterator[tuple[Entry, _Place]]:
        file = self._open(number)
        if file is None:
            return
        offset = offset or HEADER.size
        wanted = _BLOCK
        while True:
            try:
                block = os.pread(file, wanted, offset)
            except OSError:
                return
            at, complete = 0, True
            while at + FRAME.size <= len(block):
                word, checksum, seq = FRAME.unpack_from(block, at)
                if not word:
                    return
                start = at + FRAME.size
                end = start + (word & LENGTH_MASK)
                if end > len(block):
                    wanted, complete = max(_BLOCK, end - at), len(block) < wanted
                    break
                line = block[start:end]
                if crc32(line, word) != checksum or word >> 24 >= len(KINDS):
                    return
                kind = KINDS[word >> 24]
                first = _losses.decode(line).first if kind == "loss" else seq
                yield Entry(first, seq, kind, line), _Place(seq, number, offset + end)
                at = end
            if at == 0 and complete:
                return
            offset += at

    def _open(self, number: int) -> int | None:
        if (file := self._files.get(number)) is not None:
            return file
        path = self._folder / segment_name(number)
        try:
            file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError:
            return None
        header = os.pread(file, HEADER.size, 0)
        if header != self._header:
            os.close(file)
            if header.strip(b"\0") and not self._header.startswith(header):
                raise ForeignJournal(path, _what(path, header))
            return None  # it is being made at the moment, or was cut short
        self._files[number] = file
        return file

    def _has_frames_after(self, number: int) -> int | None:
        """The next segment that has a frame."""
        for later in self._numbers():
            if later > number and (file := self._open(later)) is not None:
                word = os.pread(file, 4, HEADER.size)
                if word.strip(b"\0"):
                    return later
        return None

    def _numbers(self) -> list[int]:
        try:
            names = [path.name for path in self._folder.iterdir()]
        except OSError:
            return sorted(self._files)
        on_disk = {int(name[: -len(SUFFIX)]) for name in names if name.endswith(SUFFIX)}
        return sorted(on_disk | self._files.keys())

    def _close(self, number: int) -> None:
        if (file := self._files.pop(number, None)) is not None:
            os.close(file)


_readers: "weakref.WeakSet[JournalReader]" = weakref.WeakSet()


def _close_in_child() -> None:
    for reader in list(_readers):
        reader.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


def _what(path: Path, header: bytes) -> str:
    if len(header) == HEADER.size and header.startswith(MAGIC):
        version = HEADER.unpack(header)[1]
        if version != VERSION:
            return f"{path} is of journal version {version}, this datacat reads version {VERSION}"
        return f"{path} belongs to another session"
    return f"{path} is no datacat journal"
