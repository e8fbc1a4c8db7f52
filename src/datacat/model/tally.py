"""What one session adds to the counts over all sessions: pure, so that a store can keep sums.

What must hold: the sum of the tallies of a group of sessions is what counting them one by one
gives. A store that keeps sums takes off the tally of the session as it was, and adds that of the
session as it is; so all here are whole numbers, which never drift.
"""

from typing import Final, NamedTuple

from datacat.model.lifecycle import RUNNING, Status
from datacat.model.session import Session


class Tally(NamedTuple):
    """Counts; times are in microseconds.

    ``hung`` counts sessions that hung at any time, ``active`` and ``hung_now`` those that stand so
    now. ``duration`` is of sessions that no longer run: that of the others grows by itself.
    """

    sessions: int = 0
    active: int = 0
    hung_now: int = 0
    ended: int = 0
    crashed: int = 0
    lost: int = 0
    hung: int = 0
    hang_duration: int = 0
    duration: int = 0

    def minus(self, other: "Tally") -> "Tally":
        """The difference, field by field."""
        return Tally(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))


NOTHING: Final = Tally()


def tally_of(session: Session) -> Tally:
    """What ``session`` adds."""
    status = session.status
    end = session.updated_at if session.ended_at is None else session.ended_at
    return Tally(
        sessions=1,
        active=status is Status.ACTIVE,
        hung_now=status is Status.HUNG,
        ended=status is Status.ENDED,
        crashed=status is Status.CRASHED,
        lost=status is Status.LOST,
        hung=session.hangs > 0,
        hang_duration=round(session.hang_seconds * 1_000_000),
        duration=0 if status in RUNNING else max(0, end - session.created_at),
    )
