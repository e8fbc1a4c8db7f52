"""Taking sessions away: at once out of sight, and their rows a few at a time.

What must hold: no commit is long, however much a session has recorded; at every moment the session is whole or not
there; the sums over all sessions follow. A session is there as long as its row is, so the row goes first, with what it
adds to the sums over sessions. Its other rows are no longer found by anybody; a later step takes them away with what
they add to the sums of metrics. Of those the lowest and the highest value of a span cannot be taken back: where other
sessions measured in the same span they stay.
"""

from collections import defaultdict
from typing import Final, NamedTuple

import apsw

from datacat.model.session import Session
from datacat.store.sqlite import terms
from datacat.store.sqlite.rows import Row, id_bytes, one_integer
from datacat.store.sqlite.sums import METRIC_SPANS, Sums

_REMEMBER: Final = "INSERT INTO removed (key, deployment, created_at) VALUES (?, ?, ?)"
_COUNT: Final = (
    "INSERT INTO removal (reason, sessions, last_at) VALUES (?, 1, ?) "
    "ON CONFLICT DO UPDATE SET sessions = sessions + 1, last_at = max(last_at, excluded.last_at)"
)
_EVENTS: Final = """
    SELECT e.n, name.name, e.message, e.name FROM event AS e CROSS JOIN name ON name.key = e.name
    WHERE e.session = ? ORDER BY e.n LIMIT ?
"""
_CHANGES: Final = (
    "DELETE FROM change WHERE session = ?1 AND n < (SELECT min(n) FROM change WHERE session = ?1) + ?2"
)
_POINTS: Final = "SELECT n, time, series, value FROM metric WHERE session = ? ORDER BY n LIMIT ?"
# Points are summed under what their session was called when they came: perhaps not what it was called in the end.
_TAKE_POINTS: Final = """
    UPDATE metric_sum SET points = points - ?4, total = total - ?5
    WHERE series = ?1 AND level = ?2 AND number = ?3 AND deployment = (
      SELECT deployment FROM metric_sum WHERE series = ?1 AND level = ?2 AND number = ?3 AND points >= ?4
      ORDER BY deployment = ?6 DESC LIMIT 1)
"""
_NO_POINTS: Final = "DELETE FROM metric_sum WHERE series = ? AND level = ? AND number = ? AND points <= 0"
_NO_EVENTS: Final = "DELETE FROM name WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM event WHERE name = ?1)"
_NO_SERIES: Final = (
    "DELETE FROM series WHERE key = ?1 AND NOT EXISTS (SELECT 1 FROM metric_sum WHERE series = ?1)"
)
_PROBLEMS: Final = (
    "DELETE FROM problem WHERE key IN (SELECT key FROM problem WHERE session = ? ORDER BY key LIMIT ?)"
)


def remove(
    database: apsw.Connection, session: Session, key: int, deployment: int, reason: str, now: int
) -> None:
    """Out of sight, in the transaction that is open."""
    sums = Sums()
    sums.remove_session(session, deployment)
    sums.write(database)
    database.execute("DELETE FROM session WHERE id = ?", (id_bytes(session.id),))
    database.execute(_REMEMBER, (key, deployment, session.created_at))
    found_by = terms.terms_of_session(session)
    database.executemany(terms.DELETE, terms.rows(found_by, session.created_at, key))
    database.execute(_COUNT, (reason, now))


class Taken(NamedTuple):
    """How many rows a step took, and how many names that nothing is called any more."""

    rows: int
    names: int


def sweep(database: apsw.Connection, rows: int) -> Taken:
    """Take away up to ``rows`` rows of what was removed, in the transaction that is open."""
    found = database.execute("SELECT key, deployment, created_at FROM removed ORDER BY key LIMIT 1").get
    if found is None:
        return Taken(0, 0)
    key, deployment, created_at = found
    taken, names = _take_events(database, key, created_at, rows)
    if taken < rows:
        database.execute(_CHANGES, (key, rows - taken))
        taken += database.changes()
    if taken < rows:
        points, series = _take_points(database, key, deployment, rows - taken)
        taken += points
        names += series
    if taken < rows:
        database.execute(_PROBLEMS, (key, rows - taken))
        taken += database.changes()
    if taken < rows:
        database.execute("DELETE FROM removed WHERE key = ?", (key,))
        taken += 1
    return Taken(taken, names)


def waiting(database: apsw.Connection) -> int:
    """How many sessions are gone whose rows are not yet."""
    return one_integer(database, "SELECT count(*) FROM removed", ()) or 0


def _take_events(database: apsw.Connection, key: int, created_at: int, rows: int) -> Taken:
    found: list[Row] = list(database.execute(_EVENTS, (key, rows)))
    if not found:
        return Taken(0, 0)
    said = terms.terms_of_events({(name, message) for _, name, message, _ in found})
    database.executemany(terms.DELETE, terms.rows(said, created_at, key))
    database.execute("DELETE FROM event WHERE session = ? AND n <= ?", (key, found[-1][0]))
    return Taken(len(found), _forget(database, _NO_EVENTS, {name for _, _, _, name in found}))


def _take_points(database: apsw.Connection, key: int, deployment: int, rows: int) -> Taken:
    found: list[Row] = list(database.execute(_POINTS, (key, rows)))
    if not found:
        return Taken(0, 0)
    for level, length in enumerate(METRIC_SPANS):
        spans: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
        for _, time, series, value in found:
            spans[series, time // length].append(value)
        for (series, number), values in spans.items():
            slot = series, level, number
            database.execute(_TAKE_POINTS, (*slot, len(values), sum(values), deployment))
            database.execute(_NO_POINTS, slot)
    database.execute("DELETE FROM metric WHERE session = ? AND n <= ?", (key, found[-1][0]))
    return Taken(len(found), _forget(database, _NO_SERIES, {series for _, _, series, _ in found}))


def _forget(database: apsw.Connection, unless_used: str, keys: set[int]) -> int:
    before = database.total_changes()
    database.executemany(unless_used, [(key,) for key in keys])
    return database.total_changes() - before
