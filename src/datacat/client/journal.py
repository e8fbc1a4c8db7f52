r"""The journal: records on disk before the call that made them returns, without waiting for the disk.

What must hold:

- **A record whose call has returned survives the process.** It is copied into a memory-mapped file:
  from then on it is the kernel's, whatever kills the program. (A power cut may take the last
  seconds: what the kernel had not written yet.)
- **A call never waits** for the disk to be in order: a file is given its blocks when it is made, so
  a full disk is met there, as an error, and not as a signal in the middle of a copy. Whatever goes
  wrong, :meth:`JournalWriter.write` returns False, and the record stays in memory.
- **One writer.** The journal's directory is held by a file lock as long as the program lives; who
  finds it free may send what it holds, and remove it.

The layout, version 1 (all numbers little-endian)::

    <root>/                      mode 0700
      <session id>/              of the program itself; of another origin: <session id>.<origin>/
        lock                     held by the program while it lives, then by whoever ships what it left
        session.json             {"journal": 1, "session_id": …, "url": …, "start": {…},
                                  "origin": "app", "process_start": …, "says_goodbye": …, "base": …}
        alive                    u64: when the program was last seen alive, microseconds since the epoch; 0: not yet
        crash.txt                what the interpreter wrote when it fell over
        00000001.log  …          segments, numbered in the order of writing
      <session id>.new/          one that is being made

    segment    8 bytes  "datacat\n"
               u32      version
               16 bytes the session id
               u32      zero
               frames, one after the other; the rest of the file is zeros

    frame      u32      kind << 24 | length of the line    (0: nothing was written here yet)
               u32      CRC-32 of the line, with the word above as its start value
               u64      the record's number
               line     the record as NDJSON, with its line end

``kind`` is the place of the record's type in :data:`datacat.client.backlog.KINDS`. A frame whose
checksum does not fit was torn by the end of the process: its call had not returned. A segment is
finished when a later one has a frame.
"""

import contextlib
import errno
import math
import mmap
import os
import struct
import time
from pathlib import Path
from typing import Final
from uuid import UUID
from zlib import crc32

import msgspec

from datacat.client import alive
from datacat.client.backlog import KINDS
from datacat.client.filelock import FileLock

VERSION: Final = 1
MAGIC: Final = b"datacat\n"
HEADER: Final = struct.Struct("<8sI16sI")
FRAME: Final = struct.Struct("<IIQ")
LENGTH_MASK: Final = 0xFF_FFFF
SUFFIX: Final = ".log"
LOCK_NAME: Final = "lock"
ABOUT_NAME: Final = "session.json"
UNFINISHED: Final = ".new"
"""The ending of what is being made."""

_SMALLEST: Final = 64 * 1024
_LARGEST: Final = 4 * 1024 * 1024
_GROWTH: Final = 4
_PAGE: Final = mmap.PAGESIZE
_KIND_WORDS: Final = {kind: number << 24 for number, kind in enumerate(KINDS)}
_FRAME_SIZE: Final = FRAME.size

_MADV_POPULATE_WRITE: Final = 23
"""Asks Linux (5.14 and later) to make pages writable now: an error instead of SIGBUS where it cannot."""

_LOOK_EVERY: Final = 250
"""Microseconds between two looks at whether the file still has the page that is written next."""

_RETRY_AFTER: Final = 5.0
"""Seconds until a journal that could not be written is tried again."""

_HELD_AT_LEAST: Final = 0.25
"""Seconds until a journal is tried again that was left, and is held by whoever delivers what it has."""


class About(msgspec.Struct):
    """What is written in ``session.json``: how to deliver what a dead program left behind.

    ``origin`` is who wrote it. ``process_start`` tells the process from a later one of its number, in the system's ticks (0: not
    known); ``says_goodbye`` whether its end is to be expected in the journal. ``base`` is what is added to the records'
    numbers on their way to the server, which has records of an earlier run; None: it is to be asked for them.
    """

    journal: int
    session_id: str
    url: str
    start: msgspec.Raw = msgspec.Raw(b"{}")
    origin: str = "app"
    process_start: int = 0
    says_goodbye: bool = False
    base: int | None = 0

    @property
    def folder_name(self) -> str:
        """The directory's name under the root."""
        return self.session_id if self.origin == "app" else f"{self.session_id}.{self.origin}"

    @property
    def pid(self) -> int:
        """The program's process id; 0 where it is not known.

        Raises:
            MsgspecError: the start is none.
        """
        return msgspec.json.decode(self.start, type=_Pid).pid


class _Pid(msgspec.Struct):
    pid: int = 0


def describe(folder: Path, about: About) -> None:
    """Write ``session.json``."""
    path = folder / ABOUT_NAME
    unfinished = path.with_suffix(UNFINISHED)
    unfinished.touch(mode=0o600)
    unfinished.write_bytes(msgspec.json.encode(about))
    unfinished.replace(path)


def segment_name(number: int) -> str:
    """The file name of a segment."""
    return f"{number:08}{SUFFIX}"


def segment_header(session_id: str) -> bytes:
    """The first bytes of a segment."""
    return HEADER.pack(MAGIC, VERSION, UUID(session_id).bytes, 0)


def frame(kind: str, seq: int, line: bytes) -> bytes:
    """A record as it stands in a segment."""
    word = _KIND_WORDS[kind] | len(line)
    return FRAME.pack(word, crc32(line, word), seq) + line


class Segment:
    """One mapped file."""

    def __init__(self, path: Path, size: int, header: bytes) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        self.path = path
        self.size = size
        self.file = os.open(path, flags, 0o600)
        try:
            _allocate(self.file, size)
            self.map = mmap.mmap(self.file, size)
            self.map[: len(header)] = header
        except BaseException:
            os.close(self.file)
            path.unlink(missing_ok=True)
            raise

    @property
    def number(self) -> int:
        """Its place among the journal's segments."""
        return int(self.path.stem)

    def intact(self) -> bool:
        """Whether the file still has its size and its name."""
        try:
            found = os.fstat(self.file)
        except OSError:
            return False
        return found.st_size >= self.size and found.st_nlink > 0

    def close(self) -> None:
        """Let go of it; the file stays."""
        self.map.close()
        os.close(self.file)


class JournalWriter:
    """The writing side; its caller holds the lock that makes writers take turns.

    Args:
        folder: the session's directory; made when the first record is written.
        about: what stands in ``session.json``.
        room: bytes that may be taken from the disk until :attr:`room` is set anew.
        largest: the most bytes that one segment may take, records that are larger still apart.
    """

    def __init__(self, folder: Path, about: About, *, room: int, largest: int = _LARGEST) -> None:
        self.folder = folder
        self.room = room
        self.complaint: str | None = None
        self._about = about
        self._header = segment_header(about.session_id)
        self._largest = max(_SMALLEST, min(largest, _LARGEST))
        self._next_size = _SMALLEST
        self._number = 0
        self._lock: FileLock | None = None
        self.segment: Segment | None = None
        self._spare: Segment | None = None
        self._preparing = 0
        self._retired: list[Segment] = []
        self._retry_at = 0.0
        self._down = False
        self._was_left = False
        # What every write needs, as plain attributes; no room at all while there is no segment.
        self._map: mmap.mmap | bytearray = bytearray()
        self._pack = FRAME.pack_into
        self._at = self._end = self._look_at = 0

    def write(self, kind: str, seq: int, line: bytes, time: int) -> bool:
        """Copy a record into the journal; False when that cannot be done now.

        Args:
            kind: the record's type.
            seq: its number.
            line: its line, with the line end.
            time: about now, in microseconds; only differences matter.
        """
        at = self._at
        body = at + _FRAME_SIZE
        end = body + len(line)
        if end > self._end:
            if self._down or not self._roll(len(line)):
                return False
            at = self._at
            body = at + _FRAME_SIZE
            end = body + len(line)
        if time > self._look_at:
            self._look_at = time + _LOOK_EVERY
            if not self._still_there(at, end):
                return self.write(kind, seq, line, time)
        word = _KIND_WORDS[kind] | len(line)
        self._pack(self._map, at, word, crc32(line, word), seq)
        self._map[body:end] = line
        self._at = end
        return True

    def retired(self) -> "list[Segment]":
        """Segments to be closed, by whoever has time for it."""
        retired, self._retired = self._retired, []
        return retired

    def replace(self, segment: "Segment") -> None:
        """Go on in another segment than this one, which was found to be gone or cut short."""
        if self.segment is segment:
            self._leave()

    def retry(self) -> None:
        """Try again what failed, if that was long enough ago."""
        self._look_at = 0  # should the clock have been set back
        if self._down and time.monotonic() >= self._retry_at:
            self._down = False

    def wanted_spare(self) -> tuple[Path, int] | None:
        """The next segment's path and size, where it is time to make it."""
        segment = self.segment
        if segment is None or self._spare is not None or self._down or self._at < segment.size // 2:
            return None
        size = self._size_for(0)
        if size > self.room:
            return None
        self._preparing = self._number + 1
        return self._path(self._preparing), size

    def make_spare(self, path: Path, size: int) -> "Segment | None":
        """The next segment. This takes its time, so it is done without the lock."""
        try:
            spare = Segment(path, size, self._header)
        except OSError:
            return None
        _populate(spare.map, 0, min(size, _LARGEST // 4))
        return spare

    def take_spare(self, spare: "Segment | None") -> None:
        """Have the segment that was made, unless the writing has gone past it meanwhile."""
        number, self._preparing = self._preparing, 0
        if spare is not None and self.segment is not None and self._number < number:
            self._spare = spare
        elif spare is not None:
            spare.path.unlink(missing_ok=True)
            self._retired.append(spare)

    def close(self, *, after_the_end: bool = False) -> None:
        """Let go of files and lock; what was written stays. A later write opens the journal again.

        Args:
            after_the_end: nobody is to miss an end in what stays, or is written from here on.
        """
        self._was_left = after_the_end
        if after_the_end and self._about.says_goodbye:
            self._about.says_goodbye = False
            if self._lock is not None and self._lock.in_place:
                with contextlib.suppress(OSError):
                    describe(self.folder, self._about)
        self._next_size = _SMALLEST
        self._leave()
        self._leave_spare()
        for segment in self.retired():
            segment.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def set_base(self, base: int) -> None:
        """Write down what is added to the records' numbers.

        Raises:
            OSError: it cannot be, or the journal is another's at the moment.
        """
        held = self._lock is not None and self._lock.in_place
        if not held and self.folder.exists():
            raise BlockingIOError(f"{self.folder} is held by another process")
        if held:
            describe(self.folder, msgspec.structs.replace(self._about, base=base))
        self._about.base = base

    @property
    def settled(self) -> bool:
        """Whether it is known what is added to the records' numbers."""
        return self._about.base is not None

    def abandon(self) -> None:
        """In a forked child: close what belongs to the parent, and touch nothing of it."""
        for segment in (self.segment, self._spare, *self._retired):
            if segment is not None:
                segment.close()
        self.segment = self._spare = None
        self._retired = []
        self._map = bytearray()
        self._at = self._end = 0
        self._down = True
        self._retry_at = math.inf

    def _roll(self, length: int) -> bool:
        """Go on in a new segment with room for a line of ``length``."""
        size = self._size_for(length)
        if self._spare is not None and not (self._spare.size >= size and self._spare.intact()):
            self._leave_spare()
        segment, self._spare = self._spare, None
        if segment is None:
            if size > self.room:
                return False
            try:
                self._take_folder()
                # One that is being made has this number, and is left alone when it is done.
                self._number += self._preparing == self._number + 1
                segment = Segment(self._path(self._number + 1), size, self._header)
            except OSError as error:
                self._fail(error)
                return False
        self._leave()
        self.room -= segment.size
        self._number += 1
        self._next_size = min(self._next_size * _GROWTH, self._largest)
        self.segment = segment
        self._map = segment.map
        self._at, self._end = len(self._header), segment.size
        return True

    def _leave_spare(self) -> None:
        if self._spare is not None:
            self._spare.path.unlink(missing_ok=True)
            self._retired.append(self._spare)
            self._spare = None

    def _size_for(self, length: int) -> int:
        needed = len(self._header) + _FRAME_SIZE + length
        return max(self._next_size, -(-needed // _PAGE) * _PAGE)

    def _path(self, number: int) -> Path:
        return self.folder / segment_name(number)

    def _take_folder(self) -> None:
        """Make the directory and hold it; in the usual case it is held already."""
        if self._lock is not None and self._lock.in_place:
            return
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.folder.exists():
            lock = self._hold(self.folder)
            # What an earlier run of the same session left is not overwritten.
            numbers = [int(path.stem) for path in self.folder.glob(f"*{SUFFIX}")]
            self._number = max(self._number, *numbers, 0)
        else:
            # Under its name it stands only once it is held: else it would pass for a leftover.
            unfinished = self.folder.with_name(self.folder.name + UNFINISHED)
            unfinished.mkdir(mode=0o700, exist_ok=True)
            lock = self._hold(unfinished)
            unfinished.rename(self.folder)
            lock.moved(self.folder / LOCK_NAME)
        self._lock = lock

    def _hold(self, folder: Path) -> FileLock:
        lock = FileLock(folder / LOCK_NAME)
        if not lock.acquire():
            raise BlockingIOError(f"{folder} is held by another process")
        try:
            describe(folder, self._about)
        except BaseException:
            lock.release()
            raise
        alive.begin(folder)
        return lock

    def _still_there(self, at: int, end: int) -> bool:
        """Whether the pages from ``at`` to ``end`` can be written; if not, a new segment is begun at the next write.

        A file shortened by somebody would kill the program at the next copy into its map.
        """
        segment = self.segment
        assert segment is not None
        first = at - at % _PAGE
        fine = _populate(segment.map, first, end - first)
        if fine is None:
            fine = segment.intact()
        if not fine:
            self._leave()
        return fine

    def _leave(self) -> None:
        if self.segment is not None:
            self._retired.append(self.segment)
            self.segment = None
        self._map = bytearray()
        self._at = self._end = self._look_at = 0

    def _fail(self, error: OSError) -> None:
        self._down = True
        if self._was_left and isinstance(error, BlockingIOError):
            self._retry_at = time.monotonic() + _HELD_AT_LEAST
            return
        self._retry_at = time.monotonic() + _RETRY_AFTER
        self.complaint = f"the journal in {self.folder} cannot be written ({error.strerror or error}): records wait in memory until it can"


def _allocate(file: int, size: int) -> None:
    """Give the file its blocks, so that a full disk is an error here and not a signal later."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
        else:
            return
    os.write(file, bytes(size))


def _populate(pages: mmap.mmap, first: int, length: int) -> bool | None:
    """Make pages writable now; False where they are gone, None where the system cannot tell."""
    global _can_populate  # what the kernel can do is the same for all maps
    if not _can_populate:
        return None
    try:
        pages.madvise(_MADV_POPULATE_WRITE, first, length)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            return False
        _can_populate = False
        return None
    return True


_NOT_SUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""What a kernel or a file system says that does not know what it is asked for."""

_can_populate = hasattr(mmap.mmap, "madvise")
