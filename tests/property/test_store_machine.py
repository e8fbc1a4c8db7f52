"""The SQLite store against the model store, through every sequence hypothesis can think of."""

import tempfile
from pathlib import Path

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.contract.model_store import ModelStore

from datacat.ingest.committer import commit
from datacat.model.lifecycle import Status
from datacat.model.problems import ProblemKind
from datacat.model.records import Batch, Event, Exit, Metric, Origin, Record, Start, State
from datacat.store.port import Dimension, Place, Scope
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter

IDS = [f"01934f5e-0000-7000-8000-00000000000{n}" for n in range(3)]


def record(seq: int, kind: str, text: str) -> Record:
    match kind:
        case "start":
            return Start(seq=seq, time=seq, product=text, contact_timeout=seq / 2)
        case "exit":
            return Exit(seq=seq, time=seq, cause=text, message=text)
        case "state":
            return State(seq=seq, time=seq, merge={text: {text: seq}}, remove=[f"/{text}x"])
        case "metric":
            return Metric(seq=seq, time=seq, name=text, value=float(seq), tags=[text])
        case _:
            return Event(seq=seq, time=seq, name=kind, data=msgspec.Raw(msgspec.json.encode({"text": text})))


KINDS_OF_PROBLEM: tuple[ProblemKind, ...] = ("hang", "crash")
KINDS = st.sampled_from(
    [
        "start",
        "state",
        "metric",
        "saved",
        "exit",
        "application_appears_hung",
        "application_recovered",
        "contact_lost",
    ]
)
TEXTS = st.text("ab", min_size=1, max_size=2)
batches = st.builds(
    lambda session_id, origin, first, items: Batch(
        session_id, origin, [record(seq, *item) for seq, item in enumerate(items, first)]
    ),
    st.sampled_from(IDS),
    st.sampled_from([Origin.APP, Origin.API, Origin.WATCHDOG, Origin.SERVER]),
    st.integers(1, 6),
    st.lists(st.tuples(KINDS, TEXTS), max_size=6),
)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "store.db"
        self.now = 7
        self.model = ModelStore()
        self.writer = SqliteWriter(self.path, durability="normal")
        self.reader = SqliteReader(self.path, connections=1)

    @rule(group=st.lists(batches, min_size=1, max_size=4))
    def commit_a_group(self, group: list[Batch]) -> None:
        self.now += 500_000
        expected = commit(self.model, group, self.now)
        outcomes = commit(self.writer, group, self.now)
        assert [repr(each) for each in outcomes] == [repr(each) for each in expected]

    @rule(session_id=st.sampled_from(IDS))
    def remove_a_session(self, session_id: str) -> None:
        removed = []
        for store in (self.model, self.writer):
            with store.transaction() as transaction:
                removed.append(transaction.remove(session_id, "asked", self.now))
        assert removed[0] == removed[1]

    @rule(rows=st.integers(1, 5))
    def take_away_some_of_what_was_removed(self, rows: int) -> None:
        assert self.writer.sweep(rows) <= rows

    @rule()
    def open_the_database_again(self) -> None:
        self.writer.close()
        self.writer = SqliteWriter(self.path, durability="normal")

    @invariant()
    def both_stores_say_the_same(self) -> None:
        assert self.reader.sessions(None, 99) == self.model.sessions(None, 99)
        for session_id in (each.id for each in self.model.sessions(None, 99)):
            assert self.reader.session(session_id) == self.model.session(session_id)
            assert self.reader.events(session_id, 0, 99) == self.model.events(session_id, 0, 99)
            assert self.reader.metrics(session_id, 0, 99) == self.model.metrics(session_id, 0, 99)
            assert self.reader.state_at(session_id, 3) == self.model.state_at(session_id, 3)
            expected = self.model.problems_of(session_id, evidence=True)
            assert self.reader.problems_of(session_id, evidence=True) == expected

    @invariant()
    def both_stores_count_the_same(self) -> None:
        for scope in (Scope(), Scope(product="a", since=2, until=5)):
            for kind in KINDS_OF_PROBLEM:
                counts = [each.problem_counts(kind, scope) for each in (self.reader, self.model)]
                totals = [
                    sorted((c.fingerprint, str(c.product), c.count, c.sessions) for c in each)
                    for each in counts
                ]
                assert totals[0] == totals[1]
            by: frozenset[Dimension] = frozenset({"product"})
            counted = self.reader.session_counts(scope, "week", by, 99)
            assert counted == self.model.session_counts(scope, "week", by, 99)
            assert self.reader.deployments(scope) == self.model.deployments(scope)
            for statuses in (frozenset[Status](), frozenset({Status.CRASHED, Status.HUNG})):
                newest = [each.newest_sessions(scope, statuses, 3) for each in (self.reader, self.model)]
                assert [msgspec.structs.replace(each, state={}) for each in newest[1]] == newest[0]
                for last in newest[0]:
                    place = Place(last.created_at, last.id)
                    behind = [
                        [each.id for each in store.newest_sessions(scope, statuses, 2, place)]
                        for store in (self.reader, self.model)
                    ]
                    assert behind[0] == behind[1]
            for product in (None, "a"):
                expired = [sorted(each.expired(product, self.now, 99)) for each in (self.reader, self.model)]
                assert expired[0] == expired[1]
        assert self.reader.oldest_finished(99) == self.model.oldest_finished(99)
        everything = [
            sorted(
                store.newest_events(Scope(), None, frozenset(), "debug", 99),
                key=lambda each: (each.session_id, each.event.time, each.event.name),
            )
            for store in (self.reader, self.model)
        ]
        assert everything[0] == everything[1]
        overdue = [
            sorted(map(repr, each.overdue(self.now, self.now - 1_000_000, 99)))
            for each in (self.reader, self.model)
        ]
        assert overdue[0] == overdue[1]
        ahead = [
            sorted(map(repr, each.ahead(self.now - 4_000_000, 99))) for each in (self.reader, self.model)
        ]
        assert ahead[0] == ahead[1]

    def teardown(self) -> None:
        self.reader.close()
        self.writer.close()
        self.folder.cleanup()


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=40, stateful_step_count=15, deadline=None)
