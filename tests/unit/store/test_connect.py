import _thread
import hashlib
import threading
from uuid import UUID

import apsw
import pytest
from tests.faults.audit import sums, sums_made_anew

from datacat.ingest.committer import commit
from datacat.model.errors import StoreError, StoreUnavailable
from datacat.model.lifecycle import Status
from datacat.model.records import Batch, End, Event, Exit, Metric, Origin, Record, Start
from datacat.store.asked import Scope, Sort, Wanted, Window
from datacat.store.sqlite import counts, events, problems, retention, search, series, windows
from datacat.store.sqlite.checks import check
from datacat.store.sqlite.connect import APPLICATION_ID, _words, connect, migrate, migrations, run
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter


def schema(database):
    return sorted(database.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))


def test_the_migrations_one_by_one_add_up_to_the_schema(tmp_path):
    at_once = connect(tmp_path / "new.db")
    step_by_step = apsw.Connection(":memory:")
    step_by_step.create_scalar_function("words", _words)
    for script in migrations():
        run(step_by_step, script)
    assert schema(step_by_step) == schema(at_once)
    assert at_once.pragma("user_version") == len(migrations())


def test_a_database_of_the_first_version_keeps_its_sessions(tmp_path):
    path = tmp_path / "first.db"
    first = apsw.Connection(str(path))
    first.execute(migrations()[0])
    first.pragma("application_id", APPLICATION_ID)
    first.pragma("user_version", 1)
    for n, status in enumerate(("hung", "ended", "crashed"), 1):
        first.execute(
            "INSERT INTO session (id, created_at, updated_at, ended_at, status, cause, hung_at_end, hung_monitors, "
            "tags, state_bytes, events, metrics, changes, lost, last_seq) "
            "VALUES (?, 1, 2, 3, ?, 'signal', 0, '[\"main\"]', '[]', 2, 0, 0, 0, 0, '{\"app\":1}')",
            (bytes(15) + bytes([n]), status),
        )
    first.close()
    connect(path).close()
    reader = SqliteReader(path, connections=1)
    hung, ended, crashed = (str(UUID(int=n)) for n in (1, 2, 3))
    found = [reader.session(each) for each in (hung, ended, crashed)]
    assert [(each.status, each.said_goodbye) for each in found if each] == [
        (Status.HUNG, False),
        (Status.ENDED, True),
        (Status.CRASHED, False),
    ]
    assert [problem.kind for problem in reader.problems_of(crashed, evidence=True)] == ["crash"]
    reader.close()
    writer = SqliteWriter(path)
    recovered = Event(seq=2, time=5, name="application_recovered")
    commit(writer, [Batch(hung, Origin.APP, [recovered])], 9)
    with writer.transaction() as transaction:
        session = transaction.load(hung)
    assert session is not None
    assert session.status is Status.ACTIVE
    writer.close()


LANDED = [
    "b2c0089a66d51193",
    "12e4aee08acecbf7",
    "4d82049aff0f5e59",
    "f0d3ecd3779162a6",
    "678b74f8863e032c",
    "44ea024f11c8a86d",
    "bb6f0bffd6dec92b",
    "d280a11510fd93aa",
    "0e65429159b70a00",
    "101f8b5a528ed2af",
]


def back_to(database, version):
    """Let a database of today pass for one of an earlier version: take out what each later one adds and would stumble over."""
    database.execute("ALTER TABLE session DROP COLUMN stopped")
    database.pragma("user_version", version)


BOTH_WAYS: tuple[Sort, ...] = ("newest", "oldest")


def test_questions_over_many_sessions_read_an_index(tmp_path):
    database = connect(tmp_path / "new.db")
    scope = Scope(since=1, until=2)
    queries: dict[tuple[str, tuple[object, ...]], str] = {
        problems.newest_sql(None, Scope(), 9): "SCAN p; ",
        problems.newest_sql("hang", Scope(product="p"), 9): "SEARCH p USING INDEX problem_kind (kind=?)",
        problems.newest_sql(
            "hang", scope, 9
        ): "problem_started_at (kind=? AND started_at>? AND started_at<?)",
        problems.newest_sql(None, scope, 9): "problem_started_at (kind=? AND started_at>? AND started_at<?)",
        problems._counts_sql("hang", scope): "SEARCH p USING INDEX problem_",
        counts.session_counts_sql(scope, "day", frozenset({"product"}), 9): "session_created_at",
        counts.session_counts_sql(scope, None, frozenset(), 9): "session_running",
        counts.session_counts_sql(Scope(), "hour", frozenset(), 9): "session_sum USING PRIMARY KEY",
        (
            counts.newest_sql(of_one=False),
            (1, 2, 2, 1, 9),
        ): "SEARCH session USING COVERING INDEX session_created_at",
        (
            counts.newest_sql(of_one=True),
            (1, "hung", 1, 2, 2, 1, 9),
        ): "SEARCH session USING COVERING INDEX session_listed",
        (
            events.range_sql(scope, "event_named")[0],
            (1, 0, 1, 2, 9),
        ): "event_named (name=? AND time>? AND time<?)",
        (
            events.range_sql(scope, "event_severe")[0],
            (3, 1, 2, 9),
        ): "event_severe (level=? AND time>? AND time<?)",
        (
            series.over_all_sql(scope, "last")[0],
            (1, 1, 1, 1, 1, 2),
        ): "SEARCH m USING PRIMARY KEY (series=? AND level=? AND number>? AND number<?)",
        windows.window_sql(
            windows.EVENT, 1, Window(0, 9), Wanted(names=frozenset("a"), since=1), ["e.level >= ?"], [2], 9
        ): "SEARCH e USING PRIMARY KEY (session=? AND n>? AND n<?)",
        windows.window_sql(
            windows._METRIC, 1, Window(0, 9, True), Wanted(), ["s.name = ?"], ["x"], 9
        ): "SEARCH e USING PRIMARY KEY (session=? AND n>? AND n<?)",
        (problems._OVERDUE, (9, 1, 9)): "USING INDEX session_due",
        (
            search._HAS,
            ("w:disk", 1, 1),
        ): "SEARCH term USING PRIMARY KEY (term=? AND created_at=? AND session=?)",
        **{
            (
                search.places_sql(sort, of_term=True),
                ("w:disk", 9, 9, 1, 9),
            ): "USING PRIMARY KEY (term=? AND created_at"
            for sort in BOTH_WAYS
        },
        **{
            (search.places_sql(sort, of_term=False), (9, 9, 1, 9)): f"SEARCH session USING {kind} {index} ("
            for sort, (_, _, index, _) in search._ORDERS.items()
            for kind in ("INDEX" if sort in ("longest", "hung") else "COVERING INDEX",)
        },
        (
            retention.EXPIRED,
            (1, "ended", 1, 2, 1, 9),
        ): "session_listed (deployment=? AND status=? AND created_at>? AND created_at<?)",
        (retention.OLDEST, (9,)): "SCAN session USING INDEX session_created_at",
        (problems._AHEAD, (9, 9)): "SEARCH session USING INDEX session_due",
        (problems._OF_SESSION, (1, 1)): "SEARCH problem USING INDEX sqlite_autoindex_problem_1",
    }
    for (sql, values), expected in queries.items():
        plan = "; ".join(row[3] for row in database.execute("EXPLAIN QUERY PLAN " + sql, values))
        assert expected in plan, (sql, plan)
        one_range = "problem_started_at" in plan and "UNION" not in plan and "GROUP BY" not in sql
        in_order = any(
            each in plan
            for each in ("SCAN p;", "problem_kind", "SEARCH e USING PRIMARY KEY", "event_", "session_listed")
        )
        if sql in (problems._OVERDUE, retention.OLDEST) or one_range or in_order:
            assert "TEMP B-TREE" not in plan, (sql, plan)


def test_a_new_database_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "datacat.db"
    database = connect(path)
    database.execute("BEGIN IMMEDIATE; COMMIT")
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == dict.fromkeys(
        ("datacat.db", "datacat.db-wal", "datacat.db-shm"), 384
    )
    database.close()


def test_a_database_up_to_date_is_left_as_it_is(tmp_path):
    database = connect(tmp_path / "new.db")
    before = database.total_changes()
    migrate(database)
    assert database.total_changes() == before


def test_a_database_of_a_newer_datacat_is_refused_untouched(tmp_path):
    path = tmp_path / "newer.db"
    database = connect(path)
    database.pragma("user_version", 999)
    database.close()
    with pytest.raises(StoreError, match="newer datacat"):
        connect(path)


def test_a_database_of_another_program_is_refused_untouched(tmp_path):
    path = tmp_path / "other.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        connect(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_told(tmp_path):
    path = tmp_path / "text.db"
    path.write_text("hello " * 1000)
    with pytest.raises(StoreError, match="damaged, or no database"):
        connect(path)


def test_a_place_where_nothing_can_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable):
        connect(tmp_path / "file" / "datacat.db")


def test_reading_a_session_asks_no_table_from_end_to_end(tmp_path):
    from datacat.store.sqlite import reader, rows

    database = connect(tmp_path / "new.db")
    for query in (reader._EVENTS, reader._METRICS, reader._SESSION, reader._AFTER, rows.STATE_SQL):
        values = (
            (b"x" * 16,)
            if query == reader._SESSION
            else (1,) * max(1, query.count("?") if "?1" not in query else 1)
        )
        plan = [row[3] for row in database.execute("EXPLAIN QUERY PLAN " + query, values)]
        assert plan
        assert not [step for step in plan if step.startswith("SCAN") and "CONSTANT" not in step], (
            query,
            plan,
        )


def test_a_database_from_before_sums_is_given_the_sums_that_it_would_have_kept(tmp_path):
    writer = SqliteWriter(tmp_path / "kept.db")
    for number in range(6):
        session_id = str(UUID(int=number + 1))
        begin = number * 40 * 60_000_000
        start = Start(seq=1, time=begin, product=("p", None)[number % 2], version="1")
        points = [
            Metric(seq=n + 2, time=begin + n * 7_000_000, name="ab"[n % 2], value=float(n * n % 7))
            for n in range(9)
        ]
        last: list[Record] = [
            End(seq=11, time=begin + 99),
            Exit(seq=11, time=begin + 9, cause="signal"),
            Event(seq=11, time=begin + 5, name="application_appears_hung"),
        ]
        commit(writer, [Batch(session_id, Origin.APP, [start, *points, last[number % 3]])], begin + 100)
    writer.close()

    kept, anew = sums(tmp_path / "kept.db"), sums_made_anew(tmp_path / "kept.db")
    assert kept == anew
    assert all(len(kept[table]) > 5 for table in ("session_sum", "metric_sum"))


def test_sums_of_points_as_they_first_were_are_made_anew(tmp_path):
    new, early = tmp_path / "new.db", tmp_path / "early.db"
    writer = SqliteWriter(new)
    for number in (1, 2):
        points = [Metric(seq=n + 2, time=n * 7_000_000, name="fps", value=float(n % 4)) for n in range(9)]
        commit(writer, [Batch(str(UUID(int=number)), Origin.APP, [Start(seq=1, time=0), *points])], 1)
    with writer.transaction() as transaction:
        transaction.remove(str(UUID(int=2)), "asked", 9)
    writer.close()
    kept = sums(new)
    early.write_bytes(new.read_bytes())
    database = apsw.Connection(str(early))
    database.execute("DROP TABLE metric_sum")
    database.execute(
        "CREATE TABLE metric_sum (series INTEGER NOT NULL, length INTEGER NOT NULL, start INTEGER NOT NULL, "
        "deployment INTEGER NOT NULL, points INTEGER NOT NULL, total REAL NOT NULL, low REAL NOT NULL, "
        "high REAL NOT NULL, last_at INTEGER NOT NULL, last REAL NOT NULL, "
        "PRIMARY KEY (series, length, start, deployment)) STRICT, WITHOUT ROWID"
    )
    database.execute("INSERT INTO metric_sum VALUES (1, 10000000, 0, 1, 2, 1, 0, 1, 7000000, 1)")
    back_to(database, 7)
    database.close()
    connect(early).close()
    assert sums(early) == kept
    assert len(kept["metric_sum"]) > 5


def test_a_session_whose_removal_began_before_terms_is_taken_away_to_its_end(tmp_path):
    path = tmp_path / "early.db"
    writer = SqliteWriter(path)
    saved = Event(seq=2, time=1, name="saved")
    commit(writer, [Batch(str(UUID(int=1)), Origin.APP, [Start(seq=1, time=0), saved])], 1)
    with writer.transaction() as transaction:
        transaction.remove(str(UUID(int=1)), "asked", 9)
    writer.close()
    database = apsw.Connection(str(path))
    database.execute("DELETE FROM term; ALTER TABLE removed DROP COLUMN created_at")
    back_to(database, 7)
    database.close()
    writer = SqliteWriter(path)
    while writer.sweep(10):
        pass
    writer.close()
    assert check(path, lambda _what, _done: None, full=True).faults == []


def test_a_migration_that_landed_is_never_changed():
    landed = [hashlib.sha256(script.encode()).hexdigest()[:16] for script in migrations()]
    assert landed[: len(LANDED)] == LANDED, "databases were made with it: write the next one"
    assert len(landed) == len(LANDED), "add the new one's hash to LANDED when it lands"


def test_a_migration_is_told_and_can_be_stopped_in_the_middle(tmp_path, monkeypatch, caplog):
    path = tmp_path / "first.db"
    first = apsw.Connection(str(path))
    first.execute(migrations()[0])
    first.pragma("application_id", APPLICATION_ID)
    first.pragma("user_version", 1)
    before = schema(first)
    first.close()
    # Ctrl-C is heard where the engine asks whether to go on; a statement that writes is then taken back by the engine.
    endless = "INSERT INTO name (name) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    timer = threading.Timer(0.1, _thread.interrupt_main)

    def is_stopped(database, script):
        run(database, script)
        timer.start()
        run(database, endless)

    monkeypatch.setattr("datacat.store.sqlite.connect.run", is_stopped)
    with caplog.at_level("INFO"), pytest.raises(KeyboardInterrupt):
        connect(path)
    assert f"from schema 1 to {len(migrations())}" in caplog.text
    again = apsw.Connection(str(path))
    assert (schema(again), again.pragma("user_version")) == (before, 1)
    again.close()


def test_a_database_that_could_not_be_made_whole_is_not_there(tmp_path, monkeypatch):
    def dies(_database):
        raise KeyboardInterrupt

    monkeypatch.setattr("datacat.store.sqlite.connect.migrate", dies)
    with pytest.raises(KeyboardInterrupt):
        connect(tmp_path / "new.db")
    assert list(tmp_path.iterdir()) == []


def test_two_that_make_one_database_at_once_have_the_same(tmp_path, monkeypatch):
    path = tmp_path / "new.db"

    def after_another(database):
        monkeypatch.undo()
        connect(path).close()
        migrate(database)

    monkeypatch.setattr("datacat.store.sqlite.connect.migrate", after_another)
    late = connect(path)
    assert path.samefile(late.filename)
    assert path.stat().st_nlink == 1
    late.close()


def test_a_database_from_before_terms_is_given_the_terms_that_it_would_have_kept(tmp_path):
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    batch = Batch(
        str(UUID(int=1)),
        Origin.APP,
        [
            Start(seq=1, time=1, product="editor", hostname="Alpha-1", tags=["gpu:a100"]),
            Event(seq=2, time=2, name="disk_full", message="no room on /data"),
            Event(seq=3, time=3, name="disk_full", message="no room on /home"),
            Exit(seq=4, time=4, cause="exception", message="OSError: [Errno 28]"),
        ],
    )
    writer = SqliteWriter(new)
    commit(writer, [batch], 1)
    writer.close()
    new.rename(old)
    database = apsw.Connection(str(old))
    kept = sorted(database.execute("SELECT * FROM term"))
    assert ("w:oserror", 1, 1) in kept
    for index in ("session_ended_at", "session_duration", "session_hung"):
        database.execute(f"DROP INDEX {index}")
    database.execute("DROP TABLE term")
    back_to(database, 6)
    database.close()
    connect(old).close()
    again = apsw.Connection(str(old))
    assert sorted(again.execute("SELECT * FROM term")) == kept
    again.close()
