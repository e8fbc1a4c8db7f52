import apsw
import pytest
from tests.unit.store.filled import BEGAN, batch, fill, nothing_told

from datacat.ingest.committer import commit
from datacat.model.errors import StoreUnavailable
from datacat.store.sqlite import vacuum as vacuuming
from datacat.store.sqlite.checks import check
from datacat.store.sqlite.connect import APPLICATION_ID, connect, migrations
from datacat.store.sqlite.vacuum import INCREMENTAL, vacuum
from datacat.store.sqlite.writer import SqliteWriter


def forget_sessions(path, most):
    """What deleting sessions leaves: free pages."""
    database = apsw.Connection(str(path))
    for table, key in (
        ("event", "session"),
        ("metric", "session"),
        ("change", "session"),
        ("session", "key"),
    ):
        database.execute(f"DELETE FROM {table} WHERE {key} <= ?", (most,))
    database.execute("DELETE FROM session_sum")
    free = database.pragma("freelist_count")
    database.close()
    return free


def before_incremental(path):
    """A database as an earlier datacat made it."""
    database = apsw.Connection(str(path))
    earlier = migrations()[:4]
    for script in earlier:
        database.execute(script)
    database.pragma("application_id", APPLICATION_ID)
    database.pragma("user_version", len(earlier))
    assert database.pragma("auto_vacuum") == 0
    database.close()
    return fill(path, sessions=60, events=200)


def test_a_new_database_can_give_space_back(tmp_path):
    database = connect(tmp_path / "a.db")
    assert database.pragma("auto_vacuum") == INCREMENTAL
    database.close()


def test_space_is_given_back_while_the_service_commits(tmp_path, monkeypatch):
    path = fill(tmp_path / "a.db", sessions=200, events=60)
    assert forget_sessions(path, 150) > 50
    monkeypatch.setattr(vacuuming, "_STEP_PAGES", 8)
    service = SqliteWriter(path, durability="normal")
    told: list[float] = []

    def write_too(what: str, done: float) -> None:
        assert what == "giving space back"
        told.append(done)
        if len(told) < 4:
            commit(service, [batch(300 + len(told))], BEGAN + 10**9)

    done = vacuum(path, write_too)
    service.close()
    assert not done.whole
    assert done.after < done.before / 2
    assert told[-1] == 1
    database = connect(path)
    assert database.execute("SELECT count(*) FROM session").fetchone() == (53,)
    assert database.pragma("freelist_count") == 0
    database.close()
    assert not [fault for fault in check(path, nothing_told, full=True).faults if "sums" not in fault.what]


def test_with_nothing_free_nothing_is_done(tmp_path):
    path = fill(tmp_path / "a.db")
    done = vacuum(path, nothing_told)
    assert (done.before, done.whole) == (done.after, False)


def test_what_waits_in_the_log_is_none_of_what_the_file_grew_by(tmp_path):
    path = fill(tmp_path / "a.db")
    service = SqliteWriter(path, durability="normal")
    commit(service, [batch(300, events=2_000)], BEGAN + 10**9)
    done = vacuum(path, nothing_told)
    service.close()
    assert done.before == done.after


def test_a_database_from_before_is_written_anew_once(tmp_path):
    path = before_incremental(tmp_path / "old.db")
    forget_sessions(path, 40)
    path.chmod(0o640)
    done = vacuum(path, nothing_told)
    assert done.whole
    assert done.after < done.before * 0.6
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["old.db"]
    assert not vacuum(path, nothing_told).whole
    assert not [fault for fault in check(path, nothing_told, full=True).faults if "sums" not in fault.what]


def test_a_database_from_before_that_is_in_use_is_explained_and_left(tmp_path):
    path = before_incremental(tmp_path / "old.db")
    service = SqliteWriter(path, durability="normal")
    with pytest.raises(StoreUnavailable, match="stop the service and run datacat db vacuum once"):
        vacuum(path, nothing_told)
    commit(service, [batch(70)], BEGAN + 10**9)
    service.close()
    assert check(path, nothing_told, full=False).ok
