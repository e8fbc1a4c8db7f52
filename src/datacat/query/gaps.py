"""What a stream says of what it does not tell, and why it ends."""

from typing import Final

from msgspec import Struct

from datacat.query.news import Kind


class Gap(Struct, rename={"since": "from"}, omit_defaults=True, kw_only=True):
    """Something was not told.

    ``reason`` is ``restarted`` (the id is of an earlier run of the service), ``forgotten`` (it is older than what is
    held), ``too_many`` (more came at once than is told live), or ``other_database`` (the session has fewer rows than
    the id says). ``since`` is the moment from which it goes on, ``left_out`` counts what is missing by kind, at most,
    where that is known.
    """

    reason: str
    detail: str
    since: str
    left_out: dict[Kind, int] = {}


class Cut(Struct):
    """The last message of a stream: ``reason`` is ``too_slow``, ``stopping``, ``removed`` or ``failed``."""

    reason: str
    detail: str


TOO_SLOW: Final = Cut("too_slow", "more came than was read")
STOPPING: Final = Cut("stopping", "the service is stopping")
REMOVED: Final = Cut("removed", "the session was removed, and there is nothing more to follow")


_DETAILS: Final = {
    "restarted": "the service has been started anew since",
    "forgotten": "what came since is no longer held here",
    "too_many": "more came at once than is told live",
}


def gap_of(reason: str, since: str, left_out: dict[Kind, int] | None = None) -> Gap:
    """A gap, in words."""
    return Gap(
        reason=reason,
        detail=f"{_DETAILS[reason]}: what is missing is stored, and GET /api/sessions/{{id}}/events?after=N "
        "reads on behind the last number that you have of a session",
        since=since,
        left_out=left_out or {},
    )


def other_database(since: str) -> Gap:
    """A session has fewer rows than the id says."""
    return Gap(
        reason="other_database",
        detail="the session has fewer rows than the id says, so the id is of another database, or of this one "
        "before it was restored: it goes on behind the last row that there is",
        since=since,
    )
