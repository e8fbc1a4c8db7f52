"""What goes wrong with a session, one row each: a hang, the crash, a loss of contact."""

from typing import Final, Literal

from msgspec import Raw, Struct

from datacat.model.records import EMPTY

ProblemKind = Literal["hang", "crash", "lost"]

HANG: Final = "hang"
CRASH: Final = "crash"
LOST: Final = "lost"


class Problem(Struct, frozen=True, kw_only=True):
    """One of them as it stands now; told again under the same number, it takes its own place.

    Times are microseconds since the Unix epoch. ``number`` counts the session's problems of this
    kind from 1. ``detail`` is a hang's kind or a crash's cause. ``evidence`` is the JSON object
    that the watcher sent; empty keeps what is known.
    """

    kind: ProblemKind
    number: int
    started_at: int
    ended_at: int | None = None
    seconds: float | None = None
    monitor: str | None = None
    detail: str = ""
    fingerprint: str | None = None
    title: str = ""
    evidence: Raw = EMPTY
