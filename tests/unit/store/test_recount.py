"""Sums that are wrong are made anew of what they are the sums of."""

from uuid import UUID

import apsw
import pytest
from tests.unit.store.filled import BEGAN, fill, nothing_told

from datacat.model.errors import StoreError
from datacat.store.sqlite.checks import check
from datacat.store.sqlite.recount import recount
from datacat.store.sqlite.writer import SqliteWriter

SUMS = ("session_sum", "metric_sum")


def sums(path):
    with apsw.Connection(str(path)) as database:
        return {table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr) for table in SUMS}


def spoil(path):
    database = apsw.Connection(str(path))
    database.execute("UPDATE session_sum SET ended = ended + 1; DELETE FROM metric_sum WHERE level = 2")
    database.close()


@pytest.fixture
def path(tmp_path):
    """A database of which one session is still being removed."""
    path = fill(tmp_path / "a.db", sessions=6, events=9)
    writer = SqliteWriter(path)
    with writer.transaction() as transaction:
        transaction.remove(str(UUID(int=2)), "asked", BEGAN)
    writer.close()
    return path


def test_sums_that_are_wrong_are_made_as_they_were(path):
    before = sums(path)
    assert all(before.values())
    spoil(path)
    assert len(check(path, nothing_told, full=False).faults) == 2
    done = recount(path, nothing_told)
    assert sums(path) == before
    assert (done.session_sums, done.metric_sums) == tuple(len(before[table]) for table in SUMS)
    assert check(path, nothing_told, full=True).ok


def test_what_is_being_removed_still_leaves_sums_that_are_right(path):
    spoil(path)
    recount(path, nothing_told)
    writer = SqliteWriter(path)
    while writer.sweep(10):
        pass
    writer.close()
    kept = sums(path)
    recount(path, nothing_told)
    assert sums(path) == kept


def test_one_that_is_stopped_in_the_middle_has_changed_nothing(path, monkeypatch):
    def stop(_what, _done):
        raise KeyboardInterrupt

    monkeypatch.setattr("datacat.store.sqlite.recount._LOOK_EVERY", 10)
    spoil(path)
    before = sums(path)
    with pytest.raises(KeyboardInterrupt):
        recount(path, stop)
    assert sums(path) == before


def test_a_database_of_an_earlier_version_is_left_as_it_is(path):
    database = apsw.Connection(str(path))
    database.pragma("user_version", 2)
    database.close()
    with pytest.raises(StoreError, match="start the service once"):
        recount(path, nothing_told)
