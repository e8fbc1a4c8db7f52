import apsw
import pytest
from tests.unit.store.filled import fill, nothing_told

from datacat.store.sqlite.checks import check
from datacat.store.sqlite.connect import APPLICATION_ID, migrations


def look(path, *, full=False):
    return check(path, nothing_told, full=full)


@pytest.mark.parametrize("full", [False, True])
def test_what_the_service_wrote_is_well(tmp_path, full):
    checked = look(fill(tmp_path / "a.db"), full=full)
    assert (checked.ok, checked.schema, checked.faults, checked.notes) == (True, len(migrations()), [], [])


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        (
            "DELETE FROM event WHERE session = 2 AND n = 1",
            "session 00000000-0000-0000-0000-000000000002 has 2 events, and should have 3",
        ),
        ("UPDATE event SET n = 9 WHERE session = 2 AND n = 2", "numbered from 0 without a hole"),
        ("DELETE FROM metric WHERE session = 1", "has 0 metrics, and should have 1"),
        ("UPDATE session SET changes = 2 WHERE key = 3", "has 1 changes, and should have 2"),
        ("INSERT INTO event VALUES (77, 0, 1, 1, 2, NULL, NULL)", "a session that is not there has 1 events"),
        ("DELETE FROM name WHERE key = 1", "rows of event point at a name that is not there"),
        ("DELETE FROM series", "6 rows of metric point at a series that is not there"),
        ("DELETE FROM deployment WHERE product IS NULL", "3 rows of session point at a deployment"),
        ("UPDATE session_sum SET ended = ended + 1", "sums over sessions are not what"),
        ("DELETE FROM session_sum WHERE length = 86400000000", "2 sums over sessions are not what"),
        ("DELETE FROM metric_sum WHERE level = 2", "the sums over metrics are of fewer points"),
    ],
)
def test_what_contradicts_itself_is_told_with_the_cure(tmp_path, sql, said):
    path = fill(tmp_path / "a.db")
    database = apsw.Connection(str(path))
    database.execute(sql)
    database.close()
    checked = look(path)
    assert not checked.ok
    assert any(said in fault.what for fault in checked.faults), checked.faults
    cure = "datacat db recount" if "sum" in sql else "datacat db restore"
    assert all(cure in fault.cure for fault in checked.faults)


def test_many_sessions_with_one_fault_are_not_told_one_by_one(tmp_path):
    path = fill(tmp_path / "a.db", sessions=12)
    database = apsw.Connection(str(path))
    database.execute("DELETE FROM event")
    database.close()
    assert [fault.what for fault in look(path).faults][5:] == ["so it is with the events of 7 more sessions"]


def test_a_sum_of_nothing_is_no_fault(tmp_path):
    path = fill(tmp_path / "a.db")
    database = apsw.Connection(str(path))
    database.execute("INSERT INTO session_sum VALUES (3600000000, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)")
    database.close()
    assert look(path).ok


def test_damaged_pages_are_told(tmp_path):
    path = fill(tmp_path / "a.db", sessions=200, events=40)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(content)
    checked = look(path)
    assert not checked.ok
    assert "datacat db restore" in checked.faults[0].cure
    assert not [fault.what for fault in checked.faults if "\n" in fault.what or "***" in fault.what]


def test_an_index_that_says_another_thing_than_its_table_is_found_by_the_full_check_alone(tmp_path):
    path = fill(tmp_path / "a.db")
    database = apsw.Connection(str(path))
    root = next(database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'session_created_at'"))[0]
    database.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    database.execute("PRAGMA writable_schema = ON")
    database.execute(
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX session_created_at ON session (created_at) WHERE 0' WHERE rootpage = ?",
        (root,),
    )
    database.close()
    database = apsw.Connection(str(path))
    database.execute("UPDATE session SET created_at = 1 WHERE key = 1")  # its entry of the index stays
    database.execute("PRAGMA writable_schema = ON")
    database.execute(
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX session_created_at ON session (created_at)' WHERE rootpage = ?",
        (root,),
    )
    database.close()
    assert not any("index" in fault.what for fault in look(path).faults)
    assert any("index session_created_at" in fault.what for fault in look(path, full=True).faults)


def test_no_file_is_made_where_there_is_none(tmp_path):
    checked = look(tmp_path / "none.db")
    assert (checked.ok, checked.schema) == (False, None)
    assert "there is no database at" in checked.faults[0].what
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_program_is_left_to_it(tmp_path):
    other = apsw.Connection(str(tmp_path / "other.db"))
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    (fault,) = look(tmp_path / "other.db").faults
    assert "another program" in fault.what
    assert "restore" not in fault.cure


def test_a_file_of_a_newer_datacat_asks_for_an_upgrade(tmp_path):
    database = apsw.Connection(str(fill(tmp_path / "a.db")))
    database.pragma("user_version", 999)
    database.close()
    (fault,) = look(tmp_path / "a.db").faults
    assert "upgrade" in fault.cure


def test_an_empty_file_and_a_text_are_told_apart(tmp_path):
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("hello " * 1000)
    assert "no service has used it yet" in look(tmp_path / "empty.db").faults[0].what
    assert "no database" in look(tmp_path / "text.db").faults[0].what


def test_a_database_of_an_earlier_version_is_well_with_a_note(tmp_path):
    first = apsw.Connection(str(tmp_path / "first.db"))
    first.execute(migrations()[0])
    first.pragma("application_id", APPLICATION_ID)
    first.pragma("user_version", 1)
    first.close()
    checked = look(tmp_path / "first.db")
    assert (checked.ok, checked.schema) == (True, 1)
    assert "brings it up to date" in checked.notes[0]


def test_a_check_tells_how_far_it_is_and_never_more_than_all(tmp_path):
    told: list[tuple[str, float]] = []
    check(
        fill(tmp_path / "a.db", sessions=300, events=40),
        lambda what, done: told.append((what, done)),
        full=True,
    )
    assert {"comparing tables and indexes", "counting events", "adding up sessions"} <= {
        what for what, _ in told
    }
    assert all(0 <= done <= 1 for _, done in told)
