"""What every store must do; run against each of them."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import pytest
from tests.contract.model_store import ModelStore

from datacat.model.errors import UnknownSession
from datacat.model.fold import fold
from datacat.model.lifecycle import Status
from datacat.model.records import Batch, End, Event, Metric, Origin, Record, Rejected, Start, State
from datacat.store.port import Reader, Writer
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter


@dataclass
class Store:
    writer: Writer
    reader: Reader

    def add(self, session_id: str, *records: Record) -> None:
        with self.writer.transaction() as transaction:
            batch = Batch(session_id, Origin.API, list(records))
            transaction.save([fold(transaction.load(session_id), batch, 7)])


@pytest.fixture(params=["model", "sqlite"])
def store(request, tmp_path) -> Iterator[Store]:
    if request.param == "model":
        model = ModelStore()
        yield Store(model, model)
        return
    writer = SqliteWriter(tmp_path / "store.db")
    reader = SqliteReader(tmp_path / "store.db", connections=2)
    yield Store(writer, reader)
    reader.close()
    writer.close()


def new_id() -> str:
    return str(uuid.uuid4())


def event(name: str, **data: object) -> Event:
    return Event(time=5, name=name, message="m", level="error", data=msgspec.Raw(msgspec.json.encode(data)))


def test_a_session_is_read_as_it_was_saved(store):
    session_id = new_id()
    start = Start(
        time=1, product="p", version="v", environment="e", hostname="h", machine_id="m", pid=2**62, tags=["a", "b"],
        parent_session_id="x",
    )  # fmt: skip
    store.add(
        session_id,
        start,
        State(time=2, merge={"a": {"b": [1, None]}}),
        event("application_appears_hung"),
        End(time=9),
    )
    found = store.reader.session(session_id)
    with store.writer.transaction() as transaction:
        assert transaction.load(session_id) == found
    assert (found.status, found.hung_at_end, found.state) == (Status.ENDED, True, {"a": {"b": [1, None]}})
    assert (found.tags, found.pid, found.last_event) == (("a", "b"), 2**62, "application_appears_hung")


def test_what_is_not_there_is_none(store):
    assert store.reader.session(new_id()) is None
    with store.writer.transaction() as transaction:
        assert transaction.load(new_id()) is None
    with pytest.raises(UnknownSession):
        store.reader.events(new_id(), 0, 1)


def test_rows_are_read_by_number_in_their_order(store):
    session_id = new_id()
    store.add(session_id, Start(time=1))
    for first in range(0, 3000, 1001):
        store.add(session_id, *(event(f"e{n}", n=n) for n in range(first, min(first + 1001, 3000))))
    names = [row.name for row in store.reader.events(session_id, 1998, 4)]
    assert names == ["e1998", "e1999", "e2000", "e2001"]
    assert bytes(store.reader.events(session_id, 2999, 9)[0].data) == b'{"n":2999}'
    assert store.reader.events(session_id, 3000, 9) == []


def test_metrics_of_one_name_keep_their_own_tags_units_and_kinds(store):
    session_id = new_id()
    metrics = [
        Metric(time=1, name="m", value=1.5),
        Metric(time=2, name="m", value=-0.0, tags=["a"]),
        Metric(time=3, name="m", value=1e300, unit="s", kind="timer"),
        Metric(time=4, name="m", value=2.0, unit="By"),
    ]
    store.add(session_id, Start(time=1), *metrics)
    rows = store.reader.metrics(session_id, 0, 10)
    assert [(row.value, row.unit, row.kind, bytes(row.tags)) for row in rows] == [
        (1.5, None, "gauge", b"[]"),
        (0.0, None, "gauge", b'["a"]'),
        (1e300, "s", "timer", b"[]"),
        (2.0, "By", "gauge", b"[]"),
    ]


def test_sessions_are_listed_in_the_order_of_first_storing_page_by_page(store):
    ids = [new_id() for _ in range(5)]
    for session_id in ids:
        store.add(session_id, Start(time=1))
    store.add(ids[0], event("later"))
    assert store.reader.session_ids(None, 3) == ids[:3]
    assert store.reader.session_ids(ids[2], 3) == ids[3:]


def test_a_failed_transaction_leaves_nothing_behind(store):
    session_id = new_id()
    store.add(session_id, Start(time=1), event("kept"))

    def failing() -> None:
        with store.writer.transaction() as transaction:
            batch = Batch(session_id, Origin.API, [event("gone"), State(time=1, merge={"gone": 1})])
            transaction.save([fold(transaction.load(session_id), batch, 8)])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    store.add(session_id, event("after"))
    assert [row.name for row in store.reader.events(session_id, 0, 9)] == ["kept", "after"]
    assert store.reader.session(session_id).state == {}


def test_several_folds_of_one_session_in_one_transaction_keep_their_order(store):
    session_id = new_id()
    with store.writer.transaction() as transaction:
        session, folds = None, []
        groups: list[list[Record | Rejected]] = [
            [Start(time=1), event("a")],
            [event("b"), event("c")],
            [event("d")],
        ]
        for records in groups:
            folds.append(fold(session, Batch(session_id, Origin.API, records), 7))
            session = folds[-1].session
        transaction.save(folds)
    assert [row.name for row in store.reader.events(session_id, 0, 9)] == ["a", "b", "c", "d"]


def test_a_state_of_many_changes_is_rebuilt_from_its_checkpoints(store):
    session_id = new_id()
    store.add(session_id, Start(time=1))
    for n in range(150):
        store.add(
            session_id, State(time=1, merge={"n": n, f"k{n % 7}": {"v": n}}, remove=[f"/k{(n + 3) % 7}"])
        )
    with store.writer.transaction() as transaction:
        expected = transaction.load(session_id).state
    assert store.reader.session(session_id).state == expected


def test_a_ready_store_says_so(store):
    store.reader.ready()
