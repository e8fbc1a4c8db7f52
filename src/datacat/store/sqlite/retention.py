"""What a database takes, and which sessions may go first."""

from pathlib import Path
from typing import Any, Final

import apsw

from datacat.model.lifecycle import RUNNING, Status
from datacat.store.found import Size
from datacat.store.sqlite import removal
from datacat.store.sqlite.rows import with_hyphens

EXPIRED: Final = """
    SELECT lower(hex(id)) FROM session INDEXED BY session_listed
    WHERE deployment = ? AND status = ? AND created_at > ? AND created_at < ? AND updated_at < ?
    ORDER BY created_at LIMIT ?
"""
OLDEST: Final = f"""
    SELECT lower(hex(id)) FROM session INDEXED BY session_created_at
    WHERE status NOT IN ({", ".join(f"'{status}'" for status in sorted(RUNNING))}) ORDER BY created_at LIMIT ?
"""  # noqa: S608  # constants only


_EVER: Final = 2**63 - 1


def expired(database: apsw.Connection, product: str | None, before: int, now: int, limit: int) -> list[str]:
    """See :meth:`datacat.store.port.Reader.expired`."""
    of = database.execute("SELECT key FROM deployment WHERE product IS ?", (product,)).fetchall()
    found: list[str] = []
    # When one began is said by its own clock, which may be years ahead.
    ranges = [(status.value, *began) for status in Status for began in ((-1, before), (now, _EVER))]
    for (deployment,) in of:
        for each in ranges:
            asked = (deployment, *each, before, limit - len(found))
            found += [with_hyphens(row[0]) for row in database.execute(EXPIRED, asked)]
            if len(found) >= limit:
                return found
    return found


def oldest_finished(database: apsw.Connection, limit: int) -> list[str]:
    """See :meth:`datacat.store.port.Reader.oldest_finished`."""
    return [with_hyphens(row[0]) for row in database.execute(OLDEST, (limit,))]


def size(database: apsw.Connection, path: Path) -> Size:
    """See :class:`datacat.store.found.Size`."""
    page, pages, free = (_number(database, name) for name in ("page_size", "page_count", "freelist_count"))
    log = path.with_name(path.name + "-wal")
    return Size(
        file=pages * page,
        used=(pages - free) * page,
        log=log.stat().st_size if log.exists() else 0,
        removed=removal.waiting(database),
        removals=dict(database.execute("SELECT reason, sessions FROM removal ORDER BY reason")),
    )


def _number(database: apsw.Connection, pragma: str) -> int:
    value: Any = database.pragma(pragma)
    return int(value)
