"""Sums that are kept at each commit, so that a question over all sessions costs what its answer shows.

What must hold: they are changed in the transaction that changes what they are the sums of, so they
agree with it at every moment. Points of a metric stay with the deployment that their session had
when they came: what it is called may be told later than what it measured.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from operator import itemgetter
from typing import Final

import apsw

from datacat.model.session import Session
from datacat.model.tally import NOTHING, Tally, tally_of
from datacat.store.sqlite import bulk
from datacat.store.sqlite.rows import Row

_SECOND: Final = 1_000_000

SESSION_SPANS: Final = (3_600 * _SECOND, 86_400 * _SECOND)
"""The lengths of the spans that sessions are summed in, in microseconds; each divides the next."""

METRIC_SPANS: Final = (10 * _SECOND, 120 * _SECOND, 1_200 * _SECOND, 14_400 * _SECOND)
"""The same for points of metrics."""

_FINEST: Final = METRIC_SPANS[0]

_ADD_TALLY: Final = "ON CONFLICT DO UPDATE SET " + ", ".join(
    f"{field} = {field} + excluded.{field}" for field in Tally._fields
)
_NO_SESSIONS: Final = (
    "DELETE FROM session_sum WHERE length = ? AND start = ? AND deployment = ? AND sessions = 0"
)
_ADD_POINTS: Final = (
    "ON CONFLICT DO UPDATE SET points = points + excluded.points, total = total + excluded.total, "
    "low = min(ifnull(low, total), ifnull(excluded.low, excluded.total)), "
    "high = max(ifnull(high, total), ifnull(excluded.high, excluded.total)), "
    "last = iif(excluded.last_at >= last_at, ifnull(excluded.last, excluded.total), ifnull(last, total)), "
    "last_at = max(last_at, excluded.last_at)"
)

_Points = list[float]
"""How many, their sum, the lowest, the highest, the time of the last, the last."""


class Sums:
    """What one transaction adds to the sums, until it is written."""

    def __init__(self) -> None:
        self._sessions: dict[tuple[int, int], Tally] = {}
        self._points: dict[tuple[int, int, int], _Points] = {}

    def change_session(self, before: tuple[Session, int] | None, after: Session, deployment: int) -> None:
        """A session is now as in ``after``, of this deployment; ``before``, it and its deployment were as there."""
        tally = tally_of(after)
        if before is not None:
            was = tally_of(before[0])
            if before[1] != deployment:
                self._add(after.created_at, before[1], NOTHING.minus(was))
            else:
                tally = tally.minus(was)
        if tally != NOTHING:
            self._add(after.created_at, deployment, tally)

    def remove_session(self, session: Session, deployment: int) -> None:
        """A session of this deployment is no longer there."""
        self._add(session.created_at, deployment, NOTHING.minus(tally_of(session)))

    def add_points(self, deployment: int, rows: Iterable[tuple[int, int, int, int, float]]) -> None:
        """Rows of the ``metric`` table were added."""
        # By span and by series first, so that what is done for each point is little, see the decision.
        rows = sorted(rows, key=itemgetter(2))
        times = [row[2] for row in rows]
        first = 0
        while first < len(rows):
            number = times[first] // _FINEST
            end = bisect_left(times, (number + 1) * _FINEST, first)
            values: defaultdict[int, list[float]] = defaultdict(list)
            for _, _, _, series, value in rows[first:end]:
                values[series].append(value)
            last_at = {row[3]: row[2] for row in rows[first:end]}
            for series, some in values.items():
                points = [len(some), sum(some), min(some), max(some), last_at[series], some[-1]]
                _join(self._points, (series, number, deployment), points)
            first = end

    def write(self, database: apsw.Connection) -> None:
        """Add it all."""
        if self._sessions:
            rows = [
                (length, start // length * length, deployment, *tally)
                for length in SESSION_SPANS
                for (start, deployment), tally in self._sessions.items()
            ]
            bulk.insert(database, "session_sum", 3 + len(Tally._fields), rows, _ADD_TALLY)
            if any(tally.sessions < 0 for tally in self._sessions.values()):
                database.executemany(_NO_SESSIONS, [row[:3] for row in rows])
        if self._points:
            bulk.insert(database, "metric_sum", 10, self._point_rows(), _ADD_POINTS)

    def _add(self, time: int, deployment: int, tally: Tally) -> None:
        slot = time // SESSION_SPANS[0] * SESSION_SPANS[0], deployment
        known = self._sessions.get(slot)
        self._sessions[slot] = tally if known is None else Tally(*map(sum, zip(known, tally, strict=True)))

    def _point_rows(self) -> list[Row]:
        rows: list[Row] = []
        spans = self._points
        for level, (length, longer) in enumerate(zip(METRIC_SPANS, (*METRIC_SPANS[1:], 0), strict=True)):
            above: dict[tuple[int, int, int], _Points] = {}
            for (series, number, deployment), points in sorted(spans.items()):
                count, total, low, high, last_at, last = points
                several = (low, high, last) if count > 1 else (None, None, None)
                offset = last_at - number * length
                rows.append((series, level, number, deployment, count, total, offset, *several))
                if longer:
                    _join(above, (series, number * length // longer, deployment), points)
            spans = above
        return rows


def _join(all_points: dict[tuple[int, int, int], _Points], slot: tuple[int, int, int], more: _Points) -> None:
    points = all_points.get(slot)
    if points is None:
        all_points[slot] = [*more]
        return
    points[0] += more[0]
    points[1] += more[1]
    points[2] = min(points[2], more[2])
    points[3] = max(points[3], more[3])
    if more[4] >= points[4]:
        points[4:] = more[4:]
