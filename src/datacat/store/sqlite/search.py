"""Sessions that are searched for: a walk along one index, that looks at each and takes what is wanted.

The index is that of the rarest term asked for, else that of the order. A walk looks at a bounded number of sessions:
what is wanted may be rare among what the index gives, such as two words that never meet.
"""

from collections.abc import Iterator
from typing import Any, Final

import apsw

from datacat.model.session import Session
from datacat.model.state import ABSENT, value_at
from datacat.store.asked import Search, Sort
from datacat.store.sqlite import terms
from datacat.store.sqlite.counts import BY_KEY
from datacat.store.sqlite.rows import STATE_SQL, Row, one_integer, session_of, state_of

_Place = tuple[int, int]
"""What sessions are ordered by, and a session's key."""

LOOKED_AT: Final = 2_000
"""Sessions that one walk looks at."""

STATES_LOOKED_AT: Final = 500
"""The same where each one's state must be made for it."""

_AT_ONCE: Final = 100
_COUNTED: Final = 1_000
"""Sessions of a term that are counted, to find the rarest; above that all are equal."""

_HAS: Final = "SELECT 1 FROM term WHERE term = ? AND created_at = ? AND session = ?"
_HOW_MANY: Final = "SELECT count(*) FROM (SELECT 1 FROM term WHERE term = ? LIMIT ?)"

_ORDERS: Final[dict[Sort, tuple[str, str, str, bool]]] = {
    # The value that sessions are ordered by, in which sessions it is one, the index, and whether the highest is first.
    "newest": ("created_at", "created_at >= 0", "session_created_at", True),
    "oldest": ("created_at", "created_at >= 0", "session_created_at", False),
    "ended": ("ended_at", "ended_at IS NOT NULL", "session_ended_at", True),
    "longest": ("ended_at - created_at", "ended_at IS NOT NULL", "session_duration", True),
    "hung": ("CAST(hang_seconds * 1000000 AS INTEGER)", "hangs > 0", "session_hung", True),
}


def find(
    database: apsw.Connection, search: Search, limit: int, behind: _Place | None
) -> tuple[list[Session], _Place | None]:
    """Up to ``limit`` sessions, and the place behind which to go on; None at the end."""
    most = STATES_LOOKED_AT if search.state else LOOKED_AT
    asked = frozenset(
        [
            *map(terms.event_term, search.events),
            *map(terms.word_term, search.words),
            *map(terms.tag_term, search.tags),
        ]
        + ([terms.host_term(search.hostname)] if search.hostname else [])
    )
    driver = _rarest(database, asked) if search.sort in ("newest", "oldest") else None
    also = [*map(terms.event_term, search.events), *map(terms.word_term, search.words)]
    found: list[Session] = []
    place = 0, 0
    for looked, (value, key) in enumerate(_places(database, search, driver, behind)):
        if looked == most:
            return found, place
        session = _wanted(database, key, search, [term for term in also if term != driver])
        if session is not None:
            if len(found) == limit:
                return found, place
            found.append(session)
        place = value, key
    return found, None


def places_sql(sort: Sort, *, of_term: bool) -> str:
    """The next places behind one, in an order: of the sessions of a term, or of all that have a place in it."""
    value, condition, index, highest_first = _ORDERS[sort]
    if of_term:
        table, key, index, condition = "term", "session", "", "term = ?"
    else:
        table, key, index = "session", "key", f"INDEXED BY {index}"
    compare, order = ("<", "DESC") if highest_first else (">", "ASC")
    return (
        f"SELECT {value}, {key} FROM {table} {index} WHERE {condition} AND {value} {compare}= ? "  # noqa: S608  # ours
        f"AND ({value} {compare} ? OR {key} {compare} ?) ORDER BY {value} {order}, {key} {order} LIMIT ?"
    )


def _places(
    database: apsw.Connection, search: Search, driver: str | None, behind: _Place | None
) -> Iterator[_Place]:
    sql = places_sql(search.sort, of_term=driver is not None)
    of = () if driver is None else (driver,)
    since, until = search.scope.span
    highest_first = _ORDERS[search.sort][3]
    if behind is None:
        behind = (2**62, 2**62) if highest_first else (-(2**62), -1)
    if search.sort == "newest":
        behind = min(behind, (until, 0))
    elif search.sort == "oldest":
        behind = max(behind, (since, -1))
    while True:
        rows: list[Row] = list(database.execute(sql, (*of, behind[0], *behind, _AT_ONCE)))
        for value, key in rows:
            if (search.sort == "newest" and value < since) or (search.sort == "oldest" and value >= until):
                return
            yield value, key
        if len(rows) < _AT_ONCE:
            return
        behind = rows[-1][0], rows[-1][1]


def _rarest(database: apsw.Connection, asked: frozenset[str]) -> str | None:
    counted = [(one_integer(database, _HOW_MANY, (term, _COUNTED)) or 0, term) for term in sorted(asked)]
    return min(counted)[1] if counted else None


def _wanted(database: apsw.Connection, key: int, search: Search, also: list[str]) -> Session | None:
    row = database.execute(BY_KEY, (key,)).fetchone()
    if row is None:
        return None  # removed, and its terms are not yet
    session = session_of(row, {})
    scope = search.scope
    since, until = scope.span
    names = (
        (scope.product, session.product),
        (scope.version, session.version),
        (scope.environment, session.environment),
        (search.hostname, session.hostname),
    )
    if (
        not all(asked in (None, is_) for asked, is_ in names)
        or not since <= session.created_at < until
        or (search.statuses and session.status not in search.statuses)
        or not search.tags <= set(session.tags)
    ):
        return None
    for term in also:
        if database.execute(_HAS, (term, session.created_at, key)).fetchone() is None:
            return None
    if search.state:
        state = state_of(list(database.execute(STATE_SQL, (key,))))
        if not all(_equal(value_at(state, steps), values) for steps, values in search.state):
            return None
    return session


def _equal(found: Any, values: tuple[Any, ...]) -> bool:
    """Whether it is one of these: true is not 1 here, as it is in Python."""
    return found is not ABSENT and any(
        found == value and isinstance(found, bool) == isinstance(value, bool) for value in values
    )
