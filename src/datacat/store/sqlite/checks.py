"""Looking for what is wrong in a database: damage, and what contradicts itself.

Damage is what the engine finds: pages that are not what they should be. Contradictions are found
by our own rules: sums are the sums of what they sum up, and rows are numbered without a hole.
"""

from pathlib import Path
from typing import Final

import apsw

from datacat.model.errors import StoreError
from datacat.model.tally import Tally
from datacat.store.sqlite import recount
from datacat.store.sqlite.connect import migrations, opened
from datacat.store.sqlite.rows import with_hyphens
from datacat.store.sqlite.sums import METRIC_SPANS
from datacat.store.upkeep import Checked, Fault, Tell

_TOLD: Final = 5
"""Faults of one kind that are told one by one."""

_RESTORE: Final = "stop the service, and put a backup in its place: datacat db restore BACKUP"

_RECOUNT: Final = "datacat db recount, best while the service is stopped or has little to do"

_CURES: Final = {
    "missing": "datacat serve makes one where there is none",
    "empty": "datacat serve fills it",
    "not_ours": "leave it as it is: it is somebody else's",
    "newer": "upgrade datacat: it needs the version that brought the file up to date, or a newer one",
    "damaged": _RESTORE,
}

_LOOK_EVERY: Final = 20_000
"""Steps of the engine between two looks at how far it is."""

_READ_TWICE: Final = 2
"""How often a check reads a page: as a part of its tree, and for its rows."""

# The sessions whose rows are not as many as they say, or not numbered from 0 without a hole; but for those of which
# the rows are being taken away.
_ROWS: Final = """
    SELECT lower(hex(s.id)), ifnull(s.{table}s, 0), t.found
    FROM (SELECT session, count(*) AS found, max(n) + 1 AS next FROM {table} GROUP BY session) AS t
    LEFT JOIN session AS s ON s.key = t.session
    WHERE (t.found <> ifnull(s.{table}s, 0) OR t.next <> t.found) AND t.session NOT IN (SELECT key FROM removed)
    UNION ALL
    SELECT lower(hex(id)), {table}s, 0 FROM session
    WHERE {table}s > 0 AND NOT EXISTS (SELECT 1 FROM {table} WHERE {table}.session = session.key)
"""
_POINTERS: Final = (
    ("event", "name", "name"),
    ("metric", "series", "series"),
    ("session", "deployment", "deployment"),
    ("problem", "session", "session"),
)
_BEING_REMOVED: Final = {"problem": " AND session NOT IN (SELECT key FROM removed)"}
_LOST_POINTERS: Final = "SELECT count(*) FROM {table} WHERE NOT EXISTS (SELECT 1 FROM {target} WHERE {target}.key = {table}.{column}){but}"

# A half of a microsecond is rounded in two ways, so each session that hung may be off by one.
_DIFFERS: Final = " OR ".join(
    f"abs(ifnull(c.{field}, 0) - ifnull(k.{field}, 0)) > {'ifnull(c.hung, 0)' if field == 'hang_duration' else 0}"
    for field in Tally._fields
)
_SUMS: Final = (
    f"SELECT count(*) FROM ({recount.SESSIONS}) AS c FULL JOIN session_sum AS k USING (length, start, deployment) "  # noqa: S608  # constants only
    f"WHERE {_DIFFERS}"
)

# More may be summed than there are: a session that was called otherwise within a span left some of its points, see removal.py.
_POINTS: Final = f"""
    SELECT count(*) FROM json_each('{list(range(len(METRIC_SPANS)))}') AS spans
    WHERE (SELECT ifnull(sum(points), 0) FROM metric_sum WHERE level = spans.value) < (SELECT count(*) FROM metric)
"""  # noqa: S608  # constants only


def check(path: Path, tell: Tell, *, full: bool) -> Checked:
    """See :class:`datacat.store.upkeep.Upkeep`."""
    schema: int | None = None
    faults: list[Fault] = []
    notes: list[str] = []
    try:
        with opened(path) as database:
            schema = database.pragma("user_version")
            faults += [Fault(found, _RESTORE) for found in damage(database, tell, full=full)]
            if schema < len(migrations()):
                notes.append(
                    f"it is of schema {schema}, this datacat has {len(migrations())}: the next start of the service "
                    "brings it up to date; until then, only damage is looked for"
                )
            elif not faults:
                faults += _contradictions(database, tell)
    except StoreError as error:
        faults.append(Fault(str(error), _CURES.get(error.code, "datacat doctor looks at why")))
    return Checked(str(path.absolute()), schema, faults, notes)


def damage(database: apsw.Connection, tell: Tell, *, full: bool) -> list[str]:
    """What the engine finds wrong, the first few."""
    what = "comparing tables and indexes" if full else "reading every page"
    pages = max(1, database.pragma("page_count")) * _READ_TWICE

    def look() -> bool:
        missed: int = database.status(apsw.SQLITE_DBSTATUS_CACHE_MISS)[0]
        tell(what, min(0.99, missed / pages))
        return False

    database.set_progress_handler(look, _LOOK_EVERY)
    try:
        kind = "integrity_check" if full else "quick_check"
        # What is wrong with pages is a text of many lines.
        said = [
            line for (text,) in database.execute(f"PRAGMA {kind}({_TOLD})") for line in str(text).splitlines()
        ]
        found = [line for line in said if not line.startswith("***")]
    except (apsw.CorruptError, apsw.NotADBError) as error:
        return [str(error)]
    finally:
        database.set_progress_handler(None)
    return [] if found == ["ok"] else found[:_TOLD]


def _contradictions(database: apsw.Connection, tell: Tell) -> list[Fault]:
    faults: list[Fault] = []
    tables = ("event", "metric", "change")
    for number, table in enumerate(tables):
        tell(f"counting {table}s", number / len(tables))
        wrong = list(database.execute(_ROWS.format(table=table)))
        for digits, told, found in wrong[:_TOLD]:
            whose = f"session {with_hyphens(digits)}" if digits else "a session that is not there"
            faults.append(
                Fault(
                    f"{whose} has {found:,} {table}s, and should have {told:,}, numbered from 0 without a hole",
                    f"{_RESTORE}; until then, every other session is whole",
                )
            )
        if len(wrong) > _TOLD:
            faults.append(
                Fault(f"so it is with the {table}s of {len(wrong) - _TOLD:,} more sessions", faults[-1].cure)
            )
    for table, column, target in _POINTERS:
        tell(f"following {table}s", 0.5)
        sql = _LOST_POINTERS.format(
            table=table, column=column, target=target, but=_BEING_REMOVED.get(table, "")
        )
        lost = database.execute(sql).fetchone()[0]  # type: ignore[index]
        if lost:
            faults.append(Fault(f"{lost:,} rows of {table} point at a {target} that is not there", _RESTORE))
    tell("adding up sessions", 0.5)
    if sums := database.execute(_SUMS).fetchone()[0]:  # type: ignore[index]
        faults.append(
            Fault(
                f"{sums:,} sums over sessions are not what the sessions add up to: counts and rates are wrong, "
                "and every session is whole",
                _RECOUNT,
            )
        )
    tell("adding up points", 0.8)
    if database.execute(_POINTS).fetchone()[0]:  # type: ignore[index]
        faults.append(
            Fault(
                "the sums over metrics are of fewer points than there are: curves over all sessions are wrong, and "
                "every session is whole",
                _RECOUNT,
            )
        )
    return faults
