import uuid

import pytest

from datacat.ingest.committer import commit
from datacat.model.errors import StoreUnavailable
from datacat.model.records import Batch, Event, Metric, Origin, Record, Rejected, Start, State
from datacat.store.sqlite import writer as module
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter


@pytest.fixture
def writer(tmp_path):
    writer = SqliteWriter(tmp_path / "store.db", durability="normal")
    yield writer
    writer.close()


def batch(session_id: str, *records: Record | Rejected) -> Batch:
    return Batch(session_id, Origin.API, list(records))


def test_the_statements_that_take_many_rows_stay_prepared(writer):
    session_id = str(uuid.uuid4())
    for count in (1, 7, 100, 999, 2500):
        events = [Event(time=1, name="e") for _ in range(count)]
        metrics = [Metric(time=1, name="m", value=1.0) for _ in range(count)]
        commit(writer, [batch(session_id, Start(time=1), *events, *metrics)], 1)
    assert writer._database.cache_stats()["too_big"] == 0


def test_any_number_of_rows_is_stored_without_the_filling(writer, tmp_path):
    session_id = str(uuid.uuid4())
    counts = [1, 2, 3, 5, 63, 65, 124, 126, 999, 1000, 1001]
    for count in counts:
        commit(
            writer, [batch(session_id, Start(time=1), *(Event(time=1, name="e") for _ in range(count)))], 1
        )
    reader = SqliteReader(tmp_path / "store.db", connections=1)
    assert len(reader.events(session_id, 0, 10_000)) == sum(counts)
    reader.close()


def test_sessions_with_large_states_are_not_all_kept_in_memory(writer, monkeypatch):
    monkeypatch.setattr(module, "_STATE_BYTES_KEPT", 10_000)
    ids = [str(uuid.uuid4()) for _ in range(20)]
    for session_id in ids:
        commit(writer, [batch(session_id, Start(time=1), State(time=1, merge={"text": "x" * 3000}))], 1)
    assert len(writer._sessions) == 3
    for session_id in ids:
        with writer.transaction() as transaction:
            assert len(transaction.load(session_id).state["text"]) == 3000
    assert writer._state_bytes <= 10_000


def test_what_another_writer_has_committed_is_seen(writer, tmp_path):
    session_id = str(uuid.uuid4())
    commit(writer, [batch(session_id, Start(time=1), Event(time=1, name="mine"))], 1)
    other = SqliteWriter(tmp_path / "store.db", durability="normal")
    commit(other, [batch(session_id, Event(time=2, name="theirs"))], 2)
    commit(writer, [batch(session_id, Event(time=3, name="mine"))], 3)
    reader = SqliteReader(tmp_path / "store.db", connections=1)
    assert [event.name for event in reader.events(session_id, 0, 9)] == ["mine", "theirs", "mine"]
    reader.close()
    other.close()


def test_nothing_is_answered_when_the_file_is_deleted_in_the_middle_of_a_commit(writer, tmp_path):
    session_id = str(uuid.uuid4())
    commit(writer, [batch(session_id, Start(time=1))], 1)
    with pytest.raises(StoreUnavailable, match="deleted, moved or replaced"), writer.transaction():
        (tmp_path / "store.db").unlink()
