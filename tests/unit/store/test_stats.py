import pytest
from tests.unit.store.filled import BEGAN, SECOND, fill

from datacat.model.errors import StoreError
from datacat.store.sqlite import stats as statistics
from datacat.store.sqlite.connect import connect, migrations
from datacat.store.sqlite.stats import stats
from datacat.store.upkeep import ProductCount


def test_it_tells_what_is_in_a_database(tmp_path):
    path = fill(tmp_path / "a.db", sessions=6, events=5)
    found = stats(path, tables=None)
    assert (found.rows.sessions, found.rows.events, found.rows.metrics, found.rows.changes) == (6, 30, 12, 6)
    assert (found.rows.estimated, found.schema, found.gives_back) == (False, len(migrations()), True)
    assert found.sessions == {"active": 3, "hung": 0, "ended": 3, "crashed": 0, "lost": 0}
    assert found.products == [ProductCount(None, 3), ProductCount("editor", 3)]
    assert (found.oldest, found.newest) == (BEGAN, BEGAN + 5 * 60 * SECOND)
    assert found.file_bytes == path.stat().st_size


def test_the_tables_and_indexes_add_up_to_the_file(tmp_path):
    path = fill(tmp_path / "a.db")
    found = stats(path, tables=True)
    assert found.tables is not None
    assert {"event", "metric", "session", "event_named"} <= {each.name for each in found.tables}
    pointers = 4096  # which page points where is no table
    assert sum(each.bytes for each in found.tables) + found.free_bytes + pointers == found.file_bytes


def test_a_large_file_is_not_read_for_its_tables_unless_that_is_asked_for(tmp_path, monkeypatch):
    path = fill(tmp_path / "a.db")
    monkeypatch.setattr(statistics, "_LITTLE", 4096)
    assert stats(path, tables=None).tables is None
    assert stats(path, tables=True).tables
    assert stats(path, tables=False).tables is None


def test_the_rows_of_many_sessions_are_estimated_from_some(tmp_path, monkeypatch):
    path = fill(tmp_path / "a.db", sessions=100, events=4)
    monkeypatch.setattr(statistics, "_COUNTED", 10)
    rows = stats(path, tables=False).rows
    assert rows.estimated
    assert (rows.sessions, rows.events, rows.metrics, rows.changes) == (100, 400, 200, 100)


def test_an_empty_database_has_nothing_in_it(tmp_path):
    connect(tmp_path / "a.db").close()
    found = stats(tmp_path / "a.db", tables=None)
    assert (found.rows.sessions, found.oldest, found.newest, found.products) == (0, None, None, [])


def test_a_database_of_an_earlier_version_is_told_what_brings_it_up_to_date(tmp_path):
    database = connect(tmp_path / "a.db")
    database.pragma("user_version", 2)
    database.close()
    with pytest.raises(StoreError, match="start the service once"):
        stats(tmp_path / "a.db", tables=None)
