"""Giving space back: in steps that ingest does not feel, or at once where the service is stopped.

What was deleted leaves free pages in the file, which the next rows fill. A database made with
incremental vacuuming knows who points at each page, so that its last pages can move into free
ones while it is written; one from before must be written anew once.
"""

import time
from pathlib import Path
from typing import Final

import apsw

from datacat.model.errors import StoreUnavailable
from datacat.store.sqlite.connect import errors_of, opened
from datacat.store.sqlite.copies import InUse, check_room, finish, held, replace, unfinished
from datacat.store.upkeep import Tell, Vacuumed

INCREMENTAL: Final = 2

_STEP_PAGES: Final = 256
_REST: Final = 3
"""How long the service has the database for itself after a step, as a multiple of what the step took."""


def vacuum(path: Path, tell: Tell) -> Vacuumed:
    """See :class:`datacat.store.upkeep.Upkeep`."""
    with opened(path, writable=True) as database:
        # What waits in its log makes the file longer, and is none of what is given back.
        database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        before = path.stat().st_size
        in_steps = database.pragma("auto_vacuum") == INCREMENTAL
        if in_steps:
            _in_steps(database, tell)
    if not in_steps:
        _anew(path, tell)
    return Vacuumed(str(path.absolute()), before, path.stat().st_size, not in_steps)


def _in_steps(database: apsw.Connection, tell: Tell) -> None:
    total = left = database.pragma("freelist_count")
    while left > 0:
        began = time.monotonic()
        for _ in database.execute(f"PRAGMA incremental_vacuum({_STEP_PAGES})"):
            pass
        before, left = left, database.pragma("freelist_count")
        tell("giving space back", 1 - left / max(total, left))
        if left >= before:  # the service frees as fast as this
            break
        time.sleep(_REST * (time.monotonic() - began))
    # The file is shortened when its log is folded into it; where readers are in the way, the service does it soon.
    database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def _anew(path: Path, tell: Tell) -> None:
    try:
        with held(path) as database, unfinished(path) as part:
            assert database is not None, "it was opened a moment ago"
            check_room(path.parent, path.stat().st_size)
            part.unlink()  # it must not be there
            database.pragma("auto_vacuum", INCREMENTAL)
            tell("writing it anew", 0.0)
            with errors_of(part):
                database.execute("VACUUM INTO ?", (str(part),))
            finish(part, tell)
            replace(path, part, None)
    except InUse as error:
        raise StoreUnavailable(
            f"{path} is from before space could be given back while the service runs, and is in use: stop the "
            "service and run datacat db vacuum once; from then on it need not stop"
        ) from error
