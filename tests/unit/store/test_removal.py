"""What becomes of a session that is removed, row by row."""

import pytest
from tests.contract.test_stores import Store, new_id

from datacat.model.records import Event, Metric, Record, Start, State
from datacat.store.asked import Scope
from datacat.store.sqlite.checks import check
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.stats import stats
from datacat.store.sqlite.writer import SqliteWriter

ONE, OTHER = new_id(), new_id()
TABLES = ("event", "metric", "change", "problem", "removed", "term")


@pytest.fixture
def store(tmp_path):
    writer = SqliteWriter(tmp_path / "store.db")
    reader = SqliteReader(tmp_path / "store.db", connections=2)
    yield Store(writer, reader)
    reader.close()
    writer.close()


def fill(store, session_id, product="editor"):
    records: list[Record] = [Start(time=1, product=product)]
    for n in range(100):
        records += [
            Event(time=n, name="e", level="error"),
            Metric(time=n * 1_000_000, name="fps", value=1.0),
            State(time=n, merge={"n": n}),
        ]
    records.append(Event(time=200, name="application_appears_hung"))
    store.add(session_id, *records)


def rows(store, table):
    return next(iter(store.writer._database.execute(f"SELECT count(*) FROM {table}")))[0]


def remove(store, session_id):
    with store.writer.transaction() as transaction:
        return transaction.remove(session_id, "asked", 9)


def sweep(store, rows_at_once=7):
    steps = []
    while taken := store.writer.sweep(rows_at_once):
        steps.append(taken)
    return steps


def points(store):
    return [each.value for each in store.reader.metric_over_all("fps", Scope(), 10**15, "count", 9)]


def test_it_is_out_of_sight_before_a_row_of_it_is_taken_away(store):
    fill(store, ONE)
    fill(store, OTHER)
    assert remove(store, ONE)
    assert store.reader.session(ONE) is None
    assert [session.id for session in store.reader.sessions(None, 9)] == [OTHER]
    assert {
        each.session_id for each in store.reader.newest_events(Scope(), None, frozenset(), "debug", 999)
    } == {OTHER}
    assert {
        each.session_id for each in store.reader.newest_events(Scope(), None, frozenset(), "error", 999)
    } == {OTHER}
    assert {each.session_id for each in store.reader.problems(None, Scope(), 9)} == {OTHER}
    assert store.reader.session_counts(Scope(), None, frozenset(), 1)[0].sessions == 1
    assert store.reader.size().removed == 1
    assert store.reader.size().removals == {"asked": 1}


def test_its_rows_are_taken_away_a_few_at_a_time_with_what_they_added_to_sums(store):
    fill(store, ONE)
    fill(store, OTHER)
    remove(store, ONE)
    steps = sweep(store)
    assert max(steps) <= 7
    assert sum(steps) == 101 + 100 + 100 + 1 + 1
    assert points(store) == [100]
    assert store.reader.size().removed == 0
    remove(store, OTHER)
    sweep(store)
    assert points(store) == []
    for table in (*TABLES, "session", "session_sum", "metric_sum", "name", "series"):
        assert rows(store, table) == 0, table


def test_a_name_goes_with_the_last_row_of_it_and_may_come_back(store, tmp_path):
    for session_id, name in ((ONE, "own"), (OTHER, "other")):
        said = [Event(time=2, name=each) for each in ("shared", name)]
        measured = [Metric(time=3, name=each, value=1.0) for each in ("shared", name)]
        store.add(session_id, Start(time=1), *said, *measured)
    remove(store, ONE)
    sweep(store)
    assert store.reader.event_names(9) == store.reader.metric_names(9) == ["other", "shared"]
    store.add(ONE, Start(time=1), Event(time=2, name="own"), Metric(time=3, name="own", value=1.0))
    assert [event.name for event in store.reader.events(ONE, 0, 9)] == ["own"]
    assert [metric.name for metric in store.reader.metrics(ONE, 0, 9)] == ["own"]
    assert check(tmp_path / "store.db", lambda *_: None, full=True).faults == []


def test_one_that_is_given_the_key_of_another_is_found_by_what_happened_in_both(store):
    fill(store, ONE)
    remove(store, ONE)
    sweep(store)
    fill(store, OTHER)
    assert rows(store, "term WHERE term IN ('e:e', 'e:application_appears_hung')") == 2


def test_one_that_comes_back_meanwhile_begins_anew(store):
    fill(store, ONE)
    remove(store, ONE)
    store.writer.sweep(7)
    store.add(ONE, Start(time=1, product="editor"), Event(time=2, name="again"))
    assert [event.name for event in store.reader.events(ONE, 0, 9)] == ["again"]
    sweep(store)
    assert [event.name for event in store.reader.events(ONE, 0, 9)] == ["again"]
    assert store.reader.session(ONE).events == 1
    assert points(store) == []


def test_what_was_stopped_in_the_middle_goes_on_with_the_database_opened_again(store, tmp_path):
    fill(store, ONE)
    remove(store, ONE)
    store.writer.sweep(7)
    again = SqliteWriter(tmp_path / "store.db")
    store.writer._database.close()
    while again.sweep(50):
        pass
    assert store.reader.size().removed == 0
    again.close()


def test_points_that_came_under_another_name_leave_its_sums(store):
    store.add(ONE, Start(time=1), Metric(time=5, name="fps", value=1.0))
    store.add(ONE, Start(time=1, product="editor"))
    remove(store, ONE)
    sweep(store)
    assert points(store) == []


def test_one_that_is_not_there_is_told(store):
    assert not remove(store, ONE)


def test_a_database_with_a_session_being_taken_away_is_sound_and_tells_of_it(store, tmp_path):
    fill(store, ONE)
    fill(store, OTHER)
    remove(store, ONE)
    store.writer.sweep(50)
    path = tmp_path / "store.db"
    assert check(path, lambda *_: None, full=True).faults == []
    found = stats(path, tables=None)
    assert (found.removed, found.being_removed) == ({"asked": 1}, 1)
    sweep(store)
    assert check(path, lambda *_: None, full=True).faults == []
    assert stats(path, tables=None).being_removed == 0
