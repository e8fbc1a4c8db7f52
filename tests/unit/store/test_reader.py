import msgspec
import pytest
from msgspec import Raw

from datacat.ingest.committer import commit
from datacat.model.errors import StoreUnavailable
from datacat.model.records import Batch, Event, Origin, Start
from datacat.store.asked import Wanted, Window
from datacat.store.found import PAGE_BYTES
from datacat.store.sqlite.connect import connect
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter


def test_who_asks_a_reader_that_is_closed_is_told_and_does_not_wait_for_ever(tmp_path):
    connect(tmp_path / "store.db").close()
    reader = SqliteReader(tmp_path / "store.db", connections=2)
    reader.close()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="is closed"):
            reader.metric_names(1)


def test_a_page_is_of_so_many_bytes_whatever_they_are_written_with(tmp_path):
    writer = SqliteWriter(tmp_path / "store.db", durability="normal")
    heavy = Raw(msgspec.json.encode({"a": "€" * 100_000}))
    session_id = "01934f5e-0000-7000-8000-000000000001"
    events = [Event(time=1, name="e", data=heavy) for _ in range(30)]
    commit(writer, [Batch(session_id, Origin.API, [Start(time=1), *events])], 1)
    reader = SqliteReader(tmp_path / "store.db")
    for rows in (
        reader.events(session_id, 0, 30),
        [row for _, row in reader.event_window(session_id, Window(0, 30), Wanted(), 30)],
    ):
        *most, last = (row.weight for row in rows)
        assert sum(most) < PAGE_BYTES <= sum(most) + last
    reader.close()
    writer.close()
