"""Looking after a database: what may be asked of the file itself, whichever engine is behind it."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from msgspec import Struct

Tell = Callable[[str, float], None]
"""Told what is being done now, and how much of it is done, from 0 to 1."""


class Fault(Struct, frozen=True):
    """What is wrong, and what can be done about it."""

    what: str
    cure: str


class Checked(Struct, frozen=True):
    """What a check found; ``schema`` is None where the file is no database of ours."""

    path: str
    schema: int | None
    faults: list[Fault]
    notes: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


class Copied(Struct, frozen=True):
    """A copy that was made, checked and made durable."""

    path: str
    bytes: int


class Restored(Struct, frozen=True):
    """A database that was put in the place of another."""

    path: str
    bytes: int
    kept: str | None
    """Where the one before is now; None where there was none, or it was not to be kept."""


class Vacuumed(Struct, frozen=True):
    """Space given back; the file's size before and after, in bytes."""

    path: str
    before: int
    after: int
    whole: bool
    """Whether the file was written anew, rather than shortened in steps."""


class Recounted(Struct, frozen=True):
    """Sums that were made anew: how many there are now."""

    path: str
    session_sums: int
    metric_sums: int


class TableSize(Struct, frozen=True):
    """A table, or an index."""

    name: str
    bytes: int


class ProductCount(Struct, frozen=True):
    """How many sessions a product has; None is for those that named none."""

    product: str | None
    sessions: int


class Rows(Struct, frozen=True):
    """How many rows there are; ``estimated`` where they were too many to be counted one by one."""

    sessions: int
    events: int
    metrics: int
    changes: int
    problems: int
    estimated: bool


class Stats(Struct, frozen=True):
    """What is in a database; sizes are bytes, times microseconds since the Unix epoch."""

    path: str
    schema: int
    file_bytes: int
    wal_bytes: int
    free_bytes: int
    """Within the file, to be used again or given back."""
    gives_back: bool
    """Whether free space can be given back while the service runs."""
    rows: Rows
    sessions: dict[str, int]
    """By status."""
    products: list[ProductCount]
    """Those with most sessions first."""
    oldest: int | None
    newest: int | None
    removed: dict[str, int]
    """Sessions that were removed: for their age, for size, or as asked."""
    being_removed: int
    """Sessions that are gone, and whose rows are still to be taken away."""
    tables: list[TableSize] | None
    """The largest first; None where reading it all would cost too much, and was not asked for."""


class Upkeep(Protocol):
    """The file of one database.

    Raises:
        StoreError: from every method but ``check``: it is missing, not ours, of a newer version or damaged.
        StoreUnavailable: it cannot be done now; nothing was changed.
    """

    def probe(self) -> None:
        """Return if it could be written now: nothing is."""
        ...

    def check(self, tell: Tell, *, full: bool) -> Checked:
        """Look for damage and contradictions; ``full`` also compares every index with its table."""
        ...

    def backup(self, destination: Path, tell: Tell, *, force: bool) -> Copied:
        """Copy it as it is at one moment, while it is written; ``force`` replaces what is there."""
        ...

    def restore(self, source: Path, tell: Tell, *, keep: bool) -> Restored:
        """Put a copy of ``source`` in its place; ``keep`` sets what was there aside."""
        ...

    def vacuum(self, tell: Tell) -> Vacuumed:
        """Give space that is free within the file back to the file system."""
        ...

    def recount(self, tell: Tell) -> Recounted:
        """Make the sums over sessions and metrics anew; nothing can be committed meanwhile."""
        ...

    def stats(self, *, tables: bool | None) -> Stats:
        """What is in it; ``tables`` asks for the size of each, None where that costs little."""
        ...
