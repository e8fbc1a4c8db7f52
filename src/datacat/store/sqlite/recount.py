"""The sums over all sessions, made anew of what they are the sums of: the cure where they are wrong."""

from pathlib import Path
from typing import Final

import apsw

from datacat.model.errors import StoreError
from datacat.model.tally import Tally
from datacat.store.sqlite.connect import migrations, opened
from datacat.store.sqlite.sums import METRIC_SPANS, SESSION_SPANS
from datacat.store.upkeep import Recounted, Tell

SESSIONS: Final = f"""
    SELECT length.value AS length, created_at / length.value * length.value AS start, deployment,
      count(*) AS sessions, sum(status = 'active') AS active, sum(status = 'hung') AS hung_now,
      sum(status = 'ended') AS ended, sum(status = 'crashed') AS crashed, sum(status = 'lost') AS lost,
      sum(hangs > 0) AS hung, sum(CAST(round(hang_seconds * 1000000) AS INTEGER)) AS hang_duration,
      sum(iif(status IN ('active', 'hung'), 0, max(0, coalesce(ended_at, updated_at) - created_at))) AS duration
    FROM session, json_each('{list(SESSION_SPANS)}') AS length GROUP BY 1, 2, 3
"""  # noqa: S608  # constants only
"""What ``session_sum`` should hold."""

_COLUMNS: Final = ("length", "start", "deployment", *Tally._fields)

_SUM_SESSIONS: Final = (
    f"INSERT INTO session_sum ({', '.join(_COLUMNS)}) SELECT {', '.join(_COLUMNS)} FROM ({SESSIONS})"  # noqa: S608  # as above
)

# Of a session that is being removed, what is still there counts until it is taken away.
_SUM_POINTS: Final = f"""
    INSERT INTO metric_sum (series, level, number, deployment, points, total, last_at, low, high, last)
    WITH whose AS (
      SELECT key, deployment FROM session UNION ALL SELECT key, deployment FROM removed
    ), point AS (
      SELECT m.series, span.key AS level, m.time / span.value AS number, whose.deployment,
        m.time % span.value AS at, m.value
      FROM metric AS m JOIN whose ON whose.key = m.session, json_each('{list(METRIC_SPANS)}') AS span
    ), latest AS (
      SELECT series, level, number, deployment, max(at) AS last_at, value AS last FROM point GROUP BY 1, 2, 3, 4
    ), sums AS (
      SELECT series, level, number, deployment, count(*) AS points, total(value) AS total,
        min(value) AS low, max(value) AS high
      FROM point GROUP BY 1, 2, 3, 4
    )
    SELECT series, level, number, deployment, points, total, last_at,
      iif(points > 1, low, NULL), iif(points > 1, high, NULL), iif(points > 1, last, NULL)
    FROM sums JOIN latest USING (series, level, number, deployment)
"""  # noqa: S608  # as above

_STEPS: Final = (
    ("adding up sessions", "session_sum", _SUM_SESSIONS),
    ("adding up points", "metric_sum", _SUM_POINTS),
)

_LOOK_EVERY: Final = 20_000
"""Steps of the engine between two looks whether it is to be stopped."""


def recount(path: Path, tell: Tell) -> Recounted:
    """See :class:`datacat.store.upkeep.Upkeep`."""
    with opened(path, writable=True) as database:
        if database.pragma("user_version") < len(migrations()):
            raise StoreError(
                f"{path} is of an earlier datacat: start the service once, which brings it up to date"
            )
        database.execute("BEGIN IMMEDIATE")
        made = [_make_anew(database, tell, number) for number in range(len(_STEPS))]
        database.execute("COMMIT")
    return Recounted(str(path.absolute()), *made)


def _make_anew(database: apsw.Connection, tell: Tell, number: int) -> int:
    what, table, sql = _STEPS[number]

    def look() -> bool:
        tell(what, number / len(_STEPS))
        return False

    database.set_progress_handler(look, _LOOK_EVERY)
    try:
        database.execute(f"DELETE FROM {table}")  # noqa: S608  # as above
        database.execute(sql)
        return int(database.changes())
    finally:
        database.set_progress_handler(None)
