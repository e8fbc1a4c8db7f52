import pytest

from datacat.model.errors import StoreUnavailable
from datacat.store.sqlite.connect import connect
from datacat.store.sqlite.reader import SqliteReader


def test_who_asks_a_reader_that_is_closed_is_told_and_does_not_wait_for_ever(tmp_path):
    connect(tmp_path / "store.db").close()
    reader = SqliteReader(tmp_path / "store.db", connections=2)
    reader.close()
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="is closed"):
            reader.metric_names(1)
