import apsw
import pytest

from datacat.model.errors import StoreError, StoreUnavailable
from datacat.store.sqlite.connect import connect, migrate, migrations


def schema(database):
    return sorted(database.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))


def test_the_migrations_one_by_one_add_up_to_the_schema(tmp_path):
    at_once = connect(tmp_path / "new.db")
    step_by_step = apsw.Connection(":memory:")
    for script in migrations():
        step_by_step.execute(script)
    assert schema(step_by_step) == schema(at_once)
    assert at_once.pragma("user_version") == len(migrations())


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
    for query in (reader._EVENTS, reader._METRICS, reader._SESSION, reader._IDS, rows.STATE_SQL):
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
