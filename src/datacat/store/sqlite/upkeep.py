"""Looking after a SQLite file: each task in a file of its own, gathered behind the port."""

from pathlib import Path

from datacat.store.sqlite import checks, copies, recount, stats, vacuum
from datacat.store.sqlite.connect import opened
from datacat.store.upkeep import Checked, Copied, Recounted, Restored, Stats, Tell, Vacuumed


class SqliteUpkeep:
    """See :class:`datacat.store.upkeep.Upkeep`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def probe(self) -> None:
        """Take the lock that a commit takes, and give it back."""
        with opened(self._path, writable=True) as database:
            database.execute("BEGIN IMMEDIATE; ROLLBACK")

    def check(self, tell: Tell, *, full: bool) -> Checked:
        """Damage and contradictions."""
        return checks.check(self._path, tell, full=full)

    def backup(self, destination: Path, tell: Tell, *, force: bool) -> Copied:
        """A copy of one moment."""
        return copies.backup(self._path, destination, tell, force=force)

    def restore(self, source: Path, tell: Tell, *, keep: bool) -> Restored:
        """A copy in its place."""
        return copies.restore(self._path, source, tell, keep=keep)

    def vacuum(self, tell: Tell) -> Vacuumed:
        """Space given back."""
        return vacuum.vacuum(self._path, tell)

    def recount(self, tell: Tell) -> Recounted:
        """Sums made anew."""
        return recount.recount(self._path, tell)

    def stats(self, *, tables: bool | None) -> Stats:
        """What is in it."""
        return stats.stats(self._path, tables=tables)
