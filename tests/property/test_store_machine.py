"""The SQLite store against the model store, through every sequence hypothesis can think of."""

import tempfile
from pathlib import Path
from typing import Any, get_args

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.contract.model_store import ModelStore

from datacat.ingest.committer import commit
from datacat.model.errors import UnknownSession
from datacat.model.lifecycle import Status
from datacat.model.problems import ProblemKind
from datacat.model.records import Batch, Event, Exit, Metric, Origin, Record, Start, State
from datacat.store.asked import Aggregate, Dimension, Place, Scope, Search, Sort, Wanted, Window
from datacat.store.port import Reader
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.rows import LEVELS
from datacat.store.sqlite.writer import SqliteWriter

IDS = [f"01934f5e-0000-7000-8000-00000000000{n}" for n in range(3)]


def record(seq: int, kind: str, text: str) -> Record:
    match kind:
        case "start":
            return Start(seq=seq, time=seq, product=text, version=text[-1], contact_timeout=seq / 2)
        case "exit":
            return Exit(seq=seq, time=seq, cause=text, message=text)
        case "state":
            return State(seq=seq, time=seq, merge={text: {text: seq}}, remove=[f"/{text}x"])
        case "metric":
            return Metric(seq=seq, time=seq, name=text[0], value=float(seq), tags=[text])
        case _:
            return Event(seq=seq, time=seq, name=kind, data=msgspec.Raw(msgspec.json.encode({"text": text})))


KINDS_OF_PROBLEM: tuple[ProblemKind, ...] = ("hang", "crash")
UNKNOWN = "01934f5e-0000-7000-8000-00000000000f"
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


# Never refused for a gap, so that there is much to ask about.
plain_batches = st.builds(
    lambda session_id, first, text, items: Batch(
        session_id,
        Origin.API,
        [record(first, "start", text), *(record(first + n, *item) for n, item in enumerate(items, 1))],
    ),
    st.sampled_from(IDS),
    st.integers(1, 6),
    TEXTS,
    st.lists(st.tuples(KINDS, TEXTS), min_size=3, max_size=9),
)
ANY_ID = st.sampled_from([*IDS, UNKNOWN])
FEW = st.integers(1, 4)
FIRST = st.integers(0, 5)
MOMENT = st.none() | st.integers(0, 12)
NAMES = st.frozensets(st.sampled_from(["saved", "contact_lost", "a", "b", "ab"]), max_size=2)
LEVEL = st.sampled_from(LEVELS)
SCOPES = st.builds(
    Scope,
    product=st.none() | TEXTS,
    version=st.none() | TEXTS,
    since=MOMENT,
    until=MOMENT,
)
WINDOWS = st.tuples(
    ANY_ID,
    st.builds(Window, FIRST, st.integers(0, 9), st.booleans()),
    st.builds(
        Wanted,
        names=NAMES,
        since=MOMENT,
        until=MOMENT,
        least_level=LEVEL,
        tags=st.frozensets(TEXTS, max_size=1),
    ),
    FEW,
)
# Which of several points at the same moment is the last is for each store to say.
AGGREGATES: st.SearchStrategy[Aggregate] = st.sampled_from(["avg", "min", "max", "sum", "count"])

QUESTIONS: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "session": st.tuples(ANY_ID),
    "sessions": st.tuples(st.none() | st.sampled_from(IDS), FEW),
    "events": st.tuples(ANY_ID, FIRST, FEW),
    "metrics": st.tuples(ANY_ID, FIRST, FEW),
    "event_window": WINDOWS,
    "metric_window": WINDOWS,
    "changes": st.tuples(ANY_ID, FIRST, FEW),
    "state_at": st.tuples(ANY_ID, st.integers(0, 12)),
    "ids_with_prefix": st.tuples(
        st.sampled_from(["0", "01934f5e", "1", IDS[1].replace("-", ""), IDS[2].replace("-", "")[:30]]), FEW
    ),
    "problems_of": st.tuples(ANY_ID),
    "problems": st.tuples(st.sampled_from([None, "hang", "crash", "lost"]), SCOPES, st.just(99)),
    "problem_counts": st.tuples(st.sampled_from(KINDS_OF_PROBLEM), SCOPES),
    "session_counts": st.tuples(
        SCOPES,
        st.sampled_from([None, "hour", "day", "week"]),
        st.frozensets(st.sampled_from(["product", "version"])),
        FEW,
    ),
    "deployments": st.tuples(SCOPES),
    "newest_sessions": st.tuples(
        SCOPES,
        st.frozensets(st.sampled_from(Status), max_size=2),
        FEW,
        st.none() | st.builds(Place, st.integers(0, 9), ANY_ID),
    ),
    "search": st.tuples(
        st.builds(
            Search,
            scope=SCOPES,
            statuses=st.frozensets(st.sampled_from(Status), max_size=2),
            events=st.frozensets(st.sampled_from(["saved", "contact_lost", "a"]), max_size=2),
            words=st.frozensets(st.sampled_from(["aa", "ab", "ba", "saved", "hung", "lost"]), max_size=2),
            state=st.lists(
                st.tuples(st.sampled_from([("a", "a"), ("ab",)]), st.just((3, 4))), max_size=1
            ).map(tuple),
            sort=st.sampled_from(get_args(Sort)),
        ),
        FEW,
        st.none() | st.builds(Place, st.integers(0, 9), ANY_ID),
    ),
    "metric_names": st.tuples(FEW),
    "event_names": st.tuples(FEW),
    "metric_over_all": st.tuples(TEXTS, SCOPES, st.sampled_from([1, 10_000_000, 10**9]), AGGREGATES, FEW),
    "metric_of_session": st.tuples(ANY_ID, st.none() | TEXTS, SCOPES, AGGREGATES, FEW),
    "metric_extremes": st.tuples(ANY_ID, st.none() | TEXTS, SCOPES, st.integers(1, 5), FEW),
    "newest_events": st.tuples(SCOPES, st.none() | ANY_ID, NAMES, LEVEL, FEW),
    "overdue": st.tuples(st.integers(0, 10**8), st.integers(0, 10**8), st.just(99)),
    "ahead": st.tuples(st.integers(0, 10**8), st.just(99)),
    "expired": st.tuples(st.none() | TEXTS, st.integers(0, 10**8), st.integers(10**8, 10**9), st.just(99)),
    "oldest_finished": st.tuples(FEW),
}
IN_NO_ORDER = {
    "problems",
    "problem_counts",
    "deployments",
    "metric_over_all",
    "metric_of_session",
    "overdue",
    "ahead",
    "expired",
}
"""Where things are equal in what they are ordered by, or in no order at all."""


AS_LONG_AS_NOTHING_IS_REMOVED = {"metric_names", "event_names", "metric_over_all"}
"""What a removal leaves, or takes away later; test_removal.py asks for these then."""


def answer(store: Any, question: str, asked: tuple[Any, ...]) -> Any:
    """What a store says, in a form that two stores have in common."""
    how = {"evidence": True} if question == "problems_of" else {}
    try:
        found = getattr(store, question)(*asked, **how)
    except UnknownSession:
        return "unknown"
    match question:
        case "newest_sessions":
            found = [msgspec.structs.replace(each, state={}) for each in found]
        case "metric_extremes":  # of several that are as low, or at the same moment, any is the one
            by_name = {each.name: [e for e in found if e.name == each.name] for each in found}
            found = {
                name: (min(v.value for v in of), max(v.value for v in of), of[0].time, of[-1].time)
                for name, of in by_name.items()
            }
        case "search":
            found = [each.id for each in found.sessions], found.next
        case "problems":
            found = [msgspec.structs.replace(each, key=0) for each in found]
        case "problem_counts":  # of problems that began last at once, either is the latest
            found = [msgspec.structs.replace(each, title="", sample="") for each in found]
    return sorted(map(msgspec.json.encode, found)) if question in IN_NO_ORDER else found


def test_every_question_that_a_store_answers_is_asked():
    asked = {name for name in vars(Reader) if not name.startswith("_")}
    assert asked - {"ready", "close", "size"} == QUESTIONS.keys()


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "store.db"
        self.now = 7
        self.removed = False
        self.model = ModelStore()
        self.writer = SqliteWriter(self.path, durability="normal")
        self.reader = SqliteReader(self.path, connections=1)

    @rule(group=st.lists(batches, min_size=1, max_size=4))
    def commit_a_group(self, group: list[Batch]) -> None:
        self.now += 500_000
        expected = commit(self.model, group, self.now).outcomes
        outcomes = commit(self.writer, group, self.now).outcomes
        assert [repr(each) for each in outcomes] == [repr(each) for each in expected]

    @rule(session_id=st.sampled_from(IDS))
    def remove_a_session(self, session_id: str) -> None:
        removed = []
        for store in (self.model, self.writer):
            with store.transaction() as transaction:
                removed.append(transaction.remove(session_id, "asked", self.now))
        assert removed[0] == removed[1]
        self.removed = self.removed or removed[0]

    @rule(rows=st.integers(1, 5))
    def take_away_some_of_what_was_removed(self, rows: int) -> None:
        assert self.writer.sweep(rows) <= rows

    @rule(group=st.lists(plain_batches, min_size=1, max_size=2))
    def record_plainly(self, group: list[Batch]) -> None:
        self.commit_a_group(group)

    @rule()
    def open_the_database_again(self) -> None:
        self.writer.close()
        self.writer = SqliteWriter(self.path, durability="normal")

    @rule(data=st.data())
    def ask_every_question(self, data: st.DataObject) -> None:
        for question, how in QUESTIONS.items():
            if self.removed and question in AS_LONG_AS_NOTHING_IS_REMOVED:
                continue
            asked = data.draw(how, label=question)
            assert answer(self.reader, question, asked) == answer(self.model, question, asked)

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
