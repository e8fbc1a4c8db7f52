"""What is said of a program whose journal ends without an end.

Whoever holds the lock of its journal knows that the program is gone, or has become another one by
exec; and knows no more, but for what the interpreter wrote when it fell over.
"""

from msgspec import Raw

from datacat.client import crashdump, procfs
from datacat.client.backlog import Entry, Source
from datacat.client.encode import encode_data, encode_quickly
from datacat.client.journal_root import Leftover
from datacat.model import causes
from datacat.model.records import Exit


def last_words(leftover: Leftover) -> Exit | None:
    """The exit that is missing; None when there is one, or none is to be expected.

    Its time is when the program was last seen alive, by its last record or beside it: it went no earlier.
    """
    about = leftover.about
    if leftover.reader.ended or not about.says_goodbye:
        return None
    time = max(leftover.reader.last_time, leftover.last_alive)
    lives = about.process_start and procfs.start_time(about.pid) == about.process_start
    if lives and not procfs.exiting(about.pid):
        return Exit(time=time, cause=causes.REPLACED, message="the process runs another program now")
    if dump := crashdump.read(leftover.folder):
        described = crashdump.describe(dump)
        return Exit(
            time=time,
            cause=causes.INTERPRETER_CRASH,
            message=described["message"],
            data=Raw(encode_data(described)),
        )
    message = "it went without a word; its journal was found by another program"
    return Exit(time=time, cause=causes.UNKNOWN, message=message)


class WithLastWords:
    """A journal, and one record more.

    Args:
        source: the journal of a program that is gone; nobody else adds to it.
        last: what is added.
    """

    def __init__(self, source: Source, last: Exit) -> None:
        self._source = source
        seq = source.last_seq + 1
        last.seq = seq
        self._entry = Entry(seq, seq, "exit", encode_quickly(last) + b"\n")

    def read(self, after: int, max_bytes: int, max_records: int) -> list[Entry]:
        """The journal's records; when there are no more, what was added."""
        found = self._source.read(after, max_bytes, max_records)
        return found or ([self._entry] if after < self._entry.seq else [])

    def release(self, last_seq: int) -> None:
        """As the journal."""
        self._source.release(last_seq)

    def rewind(self) -> None:
        """As the journal."""
        self._source.rewind()

    def set_base(self, base: int) -> None:
        """As the journal."""
        self._source.set_base(base)

    @property
    def last_seq(self) -> int:
        """The number of what was added."""
        return self._entry.seq
