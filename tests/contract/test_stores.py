"""What every store must do; run against each of them."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import msgspec
import pytest
from tests.contract.model_store import ModelStore

from datacat.model.errors import UnknownSession
from datacat.model.fold import fold
from datacat.model.lifecycle import Status
from datacat.model.records import (
    Batch,
    End,
    Event,
    Exit,
    Level,
    Metric,
    Origin,
    Record,
    Rejected,
    Start,
    State,
)
from datacat.query import dossier, pages, sessions
from datacat.store.asked import Place, Scope, Wanted, Window
from datacat.store.port import Reader, Writer
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter


@dataclass
class Store:
    writer: Writer
    reader: Reader

    def add(self, session_id: str, *records: Record, origin: Origin = Origin.API, received: int = 7) -> None:
        with self.writer.transaction() as transaction:
            batch = Batch(session_id, origin, list(records))
            transaction.save([fold(transaction.load(session_id), batch, received)])


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


def test_events_that_weigh_much_come_a_few_at_a_time(tmp_path):
    writer, reader = SqliteWriter(tmp_path / "heavy.db"), SqliteReader(tmp_path / "heavy.db", connections=1)
    store, session_id = Store(writer, reader), new_id()
    heavy = msgspec.Raw(msgspec.json.encode({"text": "x" * 900_000}))
    store.add(session_id, Start(time=1), *[Event(time=n, name="e", data=heavy) for n in range(12)])
    assert len(reader.events(session_id, 0, 12)) == 5
    window = Window(0, 12, newest_first=True)
    assert [n for n, _ in reader.event_window(session_id, window, Wanted(), 12)] == [11, 10, 9, 8, 7]
    session = reader.session(session_id)
    assert session is not None
    seen, asked = [], pages.Asked(0, None, 100)
    while True:
        found = pages.events(reader, session, asked, Wanted())
        seen += [each.number for each in found["events"]]
        if found["next"] is None:
            break
        asked = pages.Asked(found["next"], None, 100)
    assert seen == list(range(1, 13))
    assert len(dossier.dossier(reader, session, 1).events) == 5
    told = msgspec.json.decode(b"".join(sessions.whole(reader, session, sessions.Lists())))
    assert len(told["events"]) == 12
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
    assert [each.id for each in store.reader.sessions(None, 3)] == ids[:3]
    assert [each.id for each in store.reader.sessions(ids[2], 3)] == ids[3:]


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


SECOND = 1_000_000
DAY = 24 * 3600 * SECOND
MONDAY = 4 * DAY


def hang(time: int, monitor: str = "main", seq: int = 0, **data: object) -> Event:
    raw = msgspec.Raw(msgspec.json.encode({"monitor": monitor, "seconds_since_heartbeat": 1, **data}))
    return Event(seq=seq, time=time, name="application_appears_hung", data=raw)


def recovery(time: int, monitor: str = "main") -> Event:
    data = msgspec.Raw(msgspec.json.encode({"monitor": monitor, "seconds_hung": 3}))
    return Event(time=time, name="application_recovered", data=data)


def died(time: int, cause: str, **data: object) -> Exit:
    return Exit(time=time, cause=cause, data=msgspec.Raw(msgspec.json.encode(data)))


def test_a_hang_is_one_row_whose_evidence_stays_when_it_ends(store):
    session_id = new_id()
    store.add(session_id, Start(time=1), hang(10 * SECOND, stacks=[]))
    (row,) = store.reader.problems_of(session_id, evidence=True)
    assert (row.started_at, row.ended_at) == (9 * SECOND, None)
    evidence = row.evidence
    store.add(session_id, recovery(12 * SECOND), died(20 * SECOND, "signal", signal=9))
    ended, crash = store.reader.problems_of(session_id, evidence=True)
    assert (ended.ended_at, ended.seconds, ended.evidence) == (12 * SECOND, 3.0, evidence)
    assert (crash.kind, crash.title) == ("crash", "killed by SIGKILL")
    assert not store.reader.problems_of(session_id, evidence=False)[0].evidence
    found = store.reader.session(session_id)
    with store.writer.transaction() as transaction:
        assert transaction.load(session_id) == found
    assert found.exit == {"cause": "signal", "signal": 9}
    assert (found.hangs, found.hang_seconds, found.first_hang_at) == (1, 3.0, 9 * SECOND)


def test_a_session_that_had_no_problem_has_none(store):
    session_id = new_id()
    store.add(session_id, Start(time=1), event("saved"))
    assert store.reader.problems_of(session_id, evidence=True) == []
    with pytest.raises(UnknownSession):
        store.reader.problems_of(new_id(), evidence=True)


def test_problems_are_listed_newest_first_by_hearing_of_all_time_by_beginning_within_a_time(store):
    ids = [new_id() for _ in range(3)]
    for n, session_id in enumerate(ids):
        store.add(session_id, Start(time=1, product="editor", version=f"v{n}", environment="prod"))
        store.add(session_id, hang((10 + n) * SECOND), died(20 * SECOND, "signal"))
    store.add(ids[0], hang(5, "late", seq=1), origin=Origin.WATCHDOG)

    def listed(kind=None, limit=99, **scope):
        return [
            (each.problem.kind, each.version) for each in store.reader.problems(kind, Scope(**scope), limit)
        ]

    assert listed(limit=3) == [("hang", "v0"), ("crash", "v2"), ("hang", "v2")]
    assert listed("crash") == [("crash", "v2"), ("crash", "v1"), ("crash", "v0")]
    assert listed(version="v1", product="editor", environment="prod") == [("crash", "v1"), ("hang", "v1")]
    assert listed(product="other") == []
    assert listed("hang", since=10 * SECOND, until=11 * SECOND) == [("hang", "v1")]
    late = listed(since=0, limit=4)
    assert late == [("crash", "v2"), ("crash", "v1"), ("crash", "v0"), ("hang", "v2")]
    assert listed(since=0)[-1] == ("hang", "v0")
    keys = [each.key for each in store.reader.problems(None, Scope(), 99)]
    assert keys == sorted(keys, reverse=True)


def test_problems_are_counted_by_fingerprint_and_version(store):
    for n in range(5):
        session_id = new_id()
        store.add(session_id, Start(time=1, product="editor", version=f"v{n % 2}"))
        store.add(session_id, hang((10 + n) * SECOND, "ui"), hang((10 + n) * SECOND, "db"))
    counts = store.reader.problem_counts("hang", Scope(until=14 * SECOND))
    assert {(c.version, c.count, c.sessions) for c in counts} == {("v0", 3, 3), ("v1", 2, 2)}
    assert len(counts) == 4
    newest = [c for c in counts if c.version == "v0"]
    assert {(c.first_seen, c.last_seen, c.sample) for c in newest} == {(9 * SECOND, 13 * SECOND, session_id)}
    assert store.reader.problem_counts("crash", Scope()) == []


def test_sessions_are_counted_by_what_became_of_them(store):
    def begin(time, version, *records):
        store.add(new_id(), Start(time=time, product="editor", version=version), *records, received=time)

    begin(MONDAY, "1", End(time=MONDAY + 10 * SECOND))
    begin(MONDAY + 2 * DAY, "1", died(MONDAY + 2 * DAY + 5 * SECOND, "signal"))
    begin(MONDAY + 7 * DAY, "2", hang(MONDAY + 7 * DAY + SECOND), recovery(MONDAY + 7 * DAY + 4 * SECOND))

    def counted(bucket, by="", **scope):
        rows = store.reader.session_counts(Scope(**scope), bucket, frozenset(by.split()), 99)
        return [
            (r.bucket, r.version, r.sessions, r.crashed, r.hung, r.lost, r.hang_seconds, r.seconds)
            for r in rows
        ]

    assert counted(None) == [(None, None, 3, 1, 1, 0, 3.0, 15.0)]
    assert counted("week") == [
        (MONDAY, None, 2, 1, 0, 0, 0.0, 15.0),
        (MONDAY + 7 * DAY, None, 1, 0, 1, 0, 3.0, 0.0),
    ]
    assert [row[:3] for row in counted("day", "version")] == [
        (MONDAY, "1", 1), (MONDAY + 2 * DAY, "1", 1), (MONDAY + 7 * DAY, "2", 1),
    ]  # fmt: skip
    assert counted("hour", version="2", since=MONDAY, until=MONDAY + 7 * DAY) == []


def test_sessions_that_broke_their_promise_are_found(store):
    quick, slow, silent, ended = [new_id() for _ in range(4)]
    store.add(quick, Start(time=1, contact_timeout=1.0), received=10 * SECOND)
    store.add(slow, Start(time=1, contact_timeout=9.5), received=10 * SECOND)
    store.add(silent, Start(time=1), received=10 * SECOND)
    store.add(ended, Start(time=1, contact_timeout=1.0), End(time=2), received=10 * SECOND)

    def overdue(now, listening_since=0):
        return [each.session_id for each in store.reader.overdue(now * SECOND, listening_since * SECOND, 99)]

    assert overdue(11) == []
    assert overdue(12) == [quick]
    assert overdue(30) == [quick, slow]
    assert overdue(30, 22) == [quick]
    store.add(quick, Event(seq=1, time=1, name="contact_lost"), origin=Origin.SERVER, received=30 * SECOND)
    assert store.reader.session(quick).status is Status.LOST
    assert overdue(30) == [slow]
    store.add(quick, event("back"), received=31 * SECOND)
    (again,) = [each for each in store.reader.overdue(99 * SECOND, 0, 99) if each.session_id == quick]
    assert (again.updated_at, again.contact_timeout, again.last_seq) == (31 * SECOND, 1.0, 1)


def test_the_state_of_any_moment_is_known(store):
    session_id = new_id()
    store.add(session_id, Start(time=0), *(State(time=n, merge={"n": n, str(n): n}) for n in range(1, 200)))
    store.add(session_id, State(time=200, remove=["/1"], merge={"n": 200}))
    assert store.reader.state_at(session_id, 0) == {}
    assert store.reader.state_at(session_id, 2) == {"n": 2, "1": 1, "2": 2}
    assert store.reader.state_at(session_id, 150)["n"] == 150
    assert "1" not in store.reader.state_at(session_id, 999)


def test_ids_are_found_by_their_first_digits(store):
    ids = ["01934f5e-0000-7000-8000-000000000001", "01934f5e-1000-7000-8000-000000000002"]
    for session_id in ids:
        store.add(session_id, Start(time=1, product=session_id[9:13]))
    first, second = zip(ids, ("0000", "1000"), strict=True)
    assert store.reader.ids_with_prefix("01934f5e", 5) == [first, second]
    assert store.reader.ids_with_prefix("01934f5e1", 5) == [second]
    assert store.reader.ids_with_prefix("2", 5) == []


def points(store: Store, name: str, *, width: int = 10_000_000, **how: Any) -> list[tuple[int, float]]:
    scope = Scope(**{each: how.pop(each) for each in ("product", "since", "until") if each in how})
    found = store.reader.metric_over_all(name, scope, width, how.get("aggregate", "avg"), 100)
    return [(point.time, point.value) for point in found]


def test_sessions_are_counted_exactly_whatever_the_edges_of_the_time_asked_for(store):
    hour = 3_600_000_000
    times = [
        0,
        1,
        hour - 1,
        hour,
        23 * hour,
        24 * hour - 1,
        24 * hour,
        49 * hour + 5,
        50 * hour,
        24 * 8 * hour,
    ]
    for time in times:
        store.add(new_id(), Start(time=time, product="p"))
    edges = [
        0,
        1,
        2,
        hour,
        hour + 1,
        24 * hour - 1,
        24 * hour,
        25 * hour,
        49 * hour + 5,
        60 * hour,
        24 * 9 * hour,
    ]
    for since in edges:
        for until in edges:
            counts = store.reader.session_counts(Scope(since=since, until=until), None, frozenset(), 9)
            assert sum(count.sessions for count in counts) == sum(since <= time < until for time in times)


def test_a_session_is_counted_where_it_stands_now_under_the_name_that_it_has_now(store):
    session_id = new_id()
    store.add(session_id, Start(time=1))
    store.add(session_id, Start(time=1, product="p"), received=2_000_001)
    (count,) = store.reader.session_counts(Scope(), None, frozenset({"product"}), 9)
    assert (count.product, count.sessions, count.active, count.seconds) == ("p", 1, 1, 2)
    store.add(session_id, Event(time=4_000_001, name="application_appears_hung"))
    (count,) = store.reader.session_counts(Scope(product="p"), None, frozenset(), 9)
    assert (count.active, count.hung_now, count.hung) == (0, 1, 1)
    store.add(
        session_id,
        Event(time=5_000_001, name="application_recovered", data=msgspec.Raw(b'{"seconds_hung": 1.5}')),
    )
    store.add(session_id, Exit(time=9_000_001, cause="signal"))
    (count,) = store.reader.session_counts(Scope(), "hour", frozenset(), 9)
    assert (count.active, count.hung_now, count.ended, count.crashed, count.lost) == (0, 0, 0, 1, 0)
    assert (count.hung, count.hang_seconds, count.seconds) == (1, 1.5, 9)
    assert store.reader.session_counts(Scope(product="q"), None, frozenset(), 9) == []


def test_the_newest_sessions_of_some_names_and_some_statuses_are_found(store):
    ids = {}
    for time, (product, version) in enumerate([("p", "1"), ("p", "2"), ("q", "1"), ("p", "1")]):
        store.add(new := new_id(), Start(time=time, product=product, version=version))
        ids[time] = new
    store.add(ids[3], End(time=9))

    def found(*statuses: Status, limit: int = 9, **scope: Any) -> list[int]:
        sessions = store.reader.newest_sessions(Scope(**scope), frozenset(statuses), limit)
        return [session.created_at for session in sessions]

    assert found() == [3, 2, 1, 0]
    assert found(limit=2) == [3, 2]
    assert found(since=1, until=3) == [2, 1]
    assert found(product="p") == [3, 1, 0]
    assert found(product="p", version="1", limit=1) == [3]
    assert found(Status.ACTIVE) == [2, 1, 0]
    assert found(Status.ENDED, Status.HUNG) == [3]
    assert found(Status.ACTIVE, product="p", since=1) == [1]
    assert [d.product for d in store.reader.deployments(Scope(version="1"))] == ["p", "q"]


def test_a_metric_over_all_sessions_is_joined_in_spans_of_time(store):
    second = 1_000_000
    for product, base in (("p", 0), ("q", 100)):
        store.add(session_id := new_id(), Start(time=1, product=product))
        values = [(3, 1.0), (9, 2.0), (8, 6.0), (10, 4.0), (125, 5.0)]
        store.add(
            session_id,
            *(Metric(time=at * second, name="fps", value=base + value) for at, value in values),
            Metric(time=second, name="other", value=7.0),
        )
        store.add(session_id, Metric(time=9 * second, name="fps", value=base + 3.0))
    assert points(store, "fps", product="p") == [(0, 3), (10 * second, 4), (120 * second, 5)]
    assert points(store, "fps", product="p", aggregate="last") == [
        (0, 3),
        (10 * second, 4),
        (120 * second, 5),
    ]
    assert points(store, "fps", aggregate="max") == [(0, 106), (10 * second, 104), (120 * second, 105)]
    assert points(store, "fps", aggregate="min", since=second, until=11 * second) == [
        (0, 1),
        (10 * second, 4),
    ]
    assert points(store, "fps", aggregate="count", width=120 * second) == [(0, 10), (120 * second, 2)]
    assert points(store, "fps", aggregate="sum", width=200 * second, product="p") == [(0, 21)]
    assert points(store, "nothing") == []
    assert store.reader.metric_names(9) == ["fps", "other"]
    assert store.reader.metric_names(1) == ["fps"]


def test_a_metric_of_one_session_is_given_point_by_point_until_there_are_too_many(store):
    store.add(session_id := new_id(), Start(time=1))
    store.add(session_id, *(Metric(time=n, name="ab"[n % 2], value=float(n), tags=["t"]) for n in range(8)))

    def found(
        name: str | None, most: int, aggregate: Any = "avg", **scope: Any
    ) -> list[tuple[int, str, float]]:
        rows = store.reader.metric_of_session(session_id, name, Scope(**scope), aggregate, most)
        return [(row.time, row.name, row.value) for row in rows]

    assert found("a", 4) == [(0, "a", 0), (2, "a", 2), (4, "a", 4), (6, "a", 6)]
    assert found("a", 3) == [(0, "a", 1), (3, "a", 4), (6, "a", 6)]
    assert found("b", 3, "last") == [(1, "b", 3), (4, "b", 5), (7, "b", 7)]
    assert found("b", 2, "last", until=7) == [(1, "b", 3), (4, "b", 5)]
    assert found(None, 9, since=6) == [(6, "a", 6), (7, "b", 7)]
    assert sorted(found(None, 2, "count")) == [(0, "a", 2), (1, "b", 2), (4, "a", 2), (5, "b", 2)]
    store.add(session_id, Metric(time=1_000_000, name="c", value=0.0))
    assert found(None, 3, since=5) == [(5, "b", 5), (6, "a", 6), (7, "b", 7), (1_000_000, "c", 0)]
    with pytest.raises(UnknownSession):
        store.reader.metric_of_session(new_id(), None, Scope(), "avg", 9)


def test_the_newest_events_of_many_sessions_are_found_by_name_level_and_time(store):
    for product in "pq":
        store.add(session_id := new_id(), Start(time=1, product=product))
        told: list[tuple[str, Level]] = [("a", "info"), ("b", "error"), ("a", "fatal"), ("c", "debug")]
        for n, (name, level) in enumerate(told):
            time = 10 * n + (product == "q")
            store.add(session_id, Event(time=time, name=name, level=level, message=product))

    def found(
        *names: str, level: str = "debug", limit: int = 9, of: str | None = None, **scope: Any
    ) -> list[int]:
        rows = store.reader.newest_events(Scope(**scope), of, frozenset(names), level, limit)
        assert all(row.product == row.event.message for row in rows)
        return [row.event.time for row in rows]

    assert found() == [31, 30, 21, 20, 11, 10, 1, 0]
    assert found(limit=3) == [31, 30, 21]
    assert found("a") == [21, 20, 1, 0]
    assert found("a", "c", since=20, until=31) == [30, 21, 20]
    assert found("a", level="warning") == [21, 20]
    assert found(level="error") == [21, 20, 11, 10]
    assert found(level="info", product="q") == [21, 11, 1]
    assert found(level="fatal", product="p") == [20]
    assert found("a", of=session_id) == [21, 1]
    assert found(of=session_id, level="error", limit=1) == [21]
    assert found("unknown") == found("unknown", of=session_id) == []
    assert store.reader.event_names(2) == ["a", "b"]


def test_sessions_behind_a_place_go_on_where_a_page_ended_whatever_arrives_meanwhile(store):
    ids = [new_id() for _ in range(7)]
    for session_id, time in zip(ids, (5, 5, 5, 1, 9, 5, 3), strict=True):
        store.add(session_id, Start(time=time, product="p"))
    newest_first = [ids[n] for n in (4, 5, 2, 1, 0, 6, 3)]

    def page(place, *statuses, limit=2, **scope):
        return store.reader.newest_sessions(Scope(**scope), frozenset(statuses), limit, place)

    for asked in ({}, {"product": "p"}):
        found, place = [], None
        while some := page(place, **asked):
            found += some
            place = Place(some[-1].created_at, some[-1].id)
            store.add(new_id(), Start(time=99, product="p"))
        seen = [session.id for session in found]
        assert [each for each in seen if each in ids] == newest_first
        assert len(seen) == len(set(seen))
    at_five = Place(5, ids[1])
    assert [each.id for each in page(at_five, Status.ACTIVE, limit=9, since=2)] == [ids[0], ids[6]]
    assert [each.id for each in page(Place(5, new_id()), limit=9)] == [ids[6], ids[3]]


def test_changes_of_state_are_read_as_they_were_made(store):
    session_id = new_id()
    store.add(session_id, Start(time=0), *(State(time=n, merge={"n": n}) for n in range(1, 70)))
    store.add(session_id, State(time=70, remove=["/n"]))
    read = [
        (row.time, bytes(row.merge), bytes(row.remove)) for row in store.reader.changes(session_id, 68, 9)
    ]
    assert read == [(69, b'{"n":69}', b"[]"), (70, b"{}", b'["/n"]')]
    assert [row.time for row in store.reader.changes(session_id, 0, 3)] == [1, 2, 3]
    assert store.reader.changes(session_id, 70, 3) == []
    with pytest.raises(UnknownSession):
        store.reader.changes(new_id(), 0, 3)


def test_rows_in_a_window_are_found_as_far_as_they_are_wanted(store):
    session_id = new_id()
    store.add(session_id, Start(time=0))
    levels: tuple[Level, ...] = get_args(Level)
    store.add(
        session_id,
        *(Event(time=10 + n, name="ab"[n % 2], level=levels[n % 5]) for n in range(10)),
        *(
            Metric(time=10 + n, name="xy"[n % 2], value=n, tags=[["s:1"], ["s:1", "t:2"], []][n % 3])
            for n in range(9)
        ),
    )

    def events(first, end, limit=9, *, newest_first=False, **wanted):
        window = Window(first, end, newest_first)
        found = store.reader.event_window(session_id, window, Wanted(**wanted), limit)
        assert all(row.time == 10 + n for n, row in found)
        return [n for n, _ in found]

    def metrics(first, end, limit=9, *, newest_first=False, **wanted):
        window = Window(first, end, newest_first)
        found = store.reader.metric_window(session_id, window, Wanted(**wanted), limit)
        assert all(row.value == n for n, row in found)
        return [n for n, _ in found]

    assert events(2, 6) == [2, 3, 4, 5]
    assert events(2, 99, 3, newest_first=True) == [9, 8, 7]
    assert events(0, 9, names=frozenset("a"), limit=2) == [0, 2]
    assert events(0, 10, names=frozenset("ab"), least_level="error") == [3, 4, 8, 9]
    assert events(0, 10, since=12, until=14, newest_first=True) == [3, 2]
    assert events(0, 10, names=frozenset(["unknown"])) == []
    assert metrics(1, 5) == [1, 2, 3, 4]
    assert metrics(0, 9, 2, newest_first=True, names=frozenset("x")) == [8, 6]
    assert metrics(0, 9, tags=frozenset(["s:1"])) == [0, 1, 3, 4, 6, 7]
    assert metrics(0, 9, tags=frozenset(["s:1", "t:2"]), names=frozenset("y")) == [1, 7]
    assert metrics(0, 9, since=15) == [5, 6, 7, 8]
    with pytest.raises(UnknownSession):
        store.reader.event_window(new_id(), Window(0, 1), Wanted(), 1)
