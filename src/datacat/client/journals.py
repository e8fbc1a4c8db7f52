"""The journal of this process: opening it, and taking over what others left."""

import contextlib
import os
from collections.abc import Callable, Sequence

from datacat.client.budget import Budget
from datacat.client.buffer import Journal
from datacat.client.journal import VERSION, About, JournalWriter
from datacat.client.journal_reader import ForeignJournal, JournalReader
from datacat.client.journal_root import about_of, journal_root
from datacat.client.leftovers import LeftoverShipper
from datacat.client.transport import Transport
from datacat.model.clock import Clock
from datacat.model.records import Origin

_claimed: tuple[int, LeftoverShipper] | None = None


def open_journal(about: About, max_bytes: int, drop_first: Sequence[str], clock: Clock) -> Journal | None:
    """The journal of a session. Nothing is done on the disk before there is a record.

    None where no place for journals is known, such as for a user without a home.
    """
    try:
        root = journal_root(os.environ).absolute()
    except (OSError, RuntimeError):
        return None
    budget = Budget(root, max_bytes, drop_first, clock)
    folder = root / about.folder_name
    writer = JournalWriter(folder, about, room=budget.share, largest=budget.share // 4)
    return Journal(writer, JournalReader(folder, about.session_id, clock), budget)


def left_behind(session_id: str, clock: Clock, origin: Origin = Origin.APP) -> tuple[int, int | None]:
    """The last record number in the journal that an earlier run of a session left, and its ``base``.

    Without one (0, None): what the earlier run recorded is with the server, which is to be asked for it.
    """
    about = About(VERSION, session_id, "", origin=origin)
    with contextlib.suppress(OSError, RuntimeError, ForeignJournal):
        folder = journal_root(os.environ) / about.folder_name
        reader = JournalReader(folder, session_id, clock)
        reader.survey()
        reader.close()
        if reader.last_seq:
            return reader.last_seq, about_of(folder).base
    return 0, None


def claim_leftovers(clock: Clock, make_transport: Callable[[str, str], Transport]) -> LeftoverShipper | None:
    """One session of a process ships what is left there; None where it is another's, who is asked to go on."""
    global _claimed  # a forked child is another process
    if _claimed is not None and _claimed[0] == os.getpid() and _claimed[1].ask():
        return None
    try:
        root = journal_root(os.environ).absolute()
    except (OSError, RuntimeError):
        return None
    shipper = LeftoverShipper(root, clock, make_transport)
    _claimed = os.getpid(), shipper
    return shipper
