"""What a key of one product sees of a store that has two."""

import inspect

import pytest
from tests.contract.model_store import ModelStore
from tests.contract.test_stores import Store, new_id

from datacat.model.errors import InvalidInput, KeyForbids, UnknownSession
from datacat.model.records import Event, Metric, Record, Start
from datacat.query.bound import BoundReader
from datacat.query.sessions import find
from datacat.store.asked import Scope, Wanted, Window
from datacat.store.port import Reader

OURS, THEIRS = new_id(), new_id()
EVERYTHING = Window(0, 10)


@pytest.fixture
def bound():
    model = ModelStore()
    store = Store(model, model)
    for session_id, product in ((THEIRS, "game"), (OURS, "editor")):
        records: list[Record] = [
            Start(time=1, product=product),
            Event(time=2, name=product),
            Metric(time=3, name="fps", value=1.0),
        ]
        store.add(session_id, *records)
    return BoundReader(model, "editor")


def test_it_has_every_question_of_the_port():
    def public(kind):
        return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}

    assert public(BoundReader) == public(Reader)


def test_sessions_of_another_product_are_not_there(bound):
    assert bound.session(THEIRS) is None
    assert bound.session(OURS).product == "editor"
    assert [session.id for session in bound.sessions(None, 1)] == [OURS]
    assert bound.sessions(OURS, 1) == []
    assert bound.ids_with_prefix("", 10) == [(OURS, "editor")]


def test_whether_an_id_is_one_is_asked_among_those_of_the_product():
    model = ModelStore()
    store = Store(model, model)
    for number, product in enumerate(["game", "editor", "game", "editor"]):
        store.add(f"01934f5e-0000-7000-8000-{number:012}", Start(time=1, product=product))
    bound = BoundReader(model, "editor")
    with pytest.raises(InvalidInput, match=r"000000000001 and .*000000000003 among them"):
        find(bound, "01934f5e")
    store.add("02934f5e-0000-7000-8000-000000000000", Start(time=1, product="game"))
    store.add("02934f5e-0000-7000-8000-000000000001", Start(time=1, product="game"))
    store.add("02934f5e-0000-7000-8000-000000000002", Start(time=1, product="editor"))
    assert find(bound, "02934f5e").id == "02934f5e-0000-7000-8000-000000000002"


def test_where_very_many_begin_so_more_digits_are_asked_for():
    model = ModelStore()
    store = Store(model, model)
    for number in range(1_001):
        store.add(f"01934f5e-0000-7000-8000-{number:012}", Start(time=1, product="game"))
    with pytest.raises(InvalidInput, match="give more digits"):
        find(BoundReader(model, "editor"), "01934f5e")


ASKED_OF_A_SESSION = {
    "events": lambda reader, one: reader.events(one, 0, 10),
    "metrics": lambda reader, one: reader.metrics(one, 0, 10),
    "event_window": lambda reader, one: reader.event_window(one, EVERYTHING, Wanted(), 10),
    "metric_window": lambda reader, one: reader.metric_window(one, EVERYTHING, Wanted(), 10),
    "changes": lambda reader, one: reader.changes(one, 0, 10),
    "state_at": lambda reader, one: reader.state_at(one, 9),
    "problems_of": lambda reader, one: reader.problems_of(one, evidence=True),
    "metric_of_session": lambda reader, one: reader.metric_of_session(one, None, Scope(), "avg", 10),
    "metric_extremes": lambda reader, one: reader.metric_extremes(one, None, Scope(), 1, 10),
    "newest_events": lambda reader, one: reader.newest_events(Scope(), one, frozenset(), "debug", 10),
}


@pytest.mark.parametrize("question", ASKED_OF_A_SESSION)
def test_what_is_asked_of_a_session_of_another_product_is_unknown(bound, question):
    ask = ASKED_OF_A_SESSION[question]
    ask(bound, OURS)
    with pytest.raises(UnknownSession):
        ask(bound, THEIRS)


ASKED_OF_ALL = {
    "problems": lambda reader, scope: reader.problems(None, scope, 10),
    "problem_counts": lambda reader, scope: reader.problem_counts("hang", scope),
    "session_counts": lambda reader, scope: reader.session_counts(scope, None, frozenset({"product"}), 10),
    "deployments": lambda reader, scope: reader.deployments(scope),
    "newest_sessions": lambda reader, scope: reader.newest_sessions(scope, frozenset(), 10),
    "metric_over_all": lambda reader, scope: reader.metric_over_all("fps", scope, 1, "count", 10),
    "newest_events": lambda reader, scope: reader.newest_events(scope, None, frozenset(), "debug", 10),
}


@pytest.mark.parametrize("question", ASKED_OF_ALL)
def test_what_is_asked_of_all_is_of_the_product_and_another_is_refused(bound, question):
    ask = ASKED_OF_ALL[question]
    assert "game" not in str(ask(bound, Scope()))
    with pytest.raises(KeyForbids, match="'editor'"):
        ask(bound, Scope(product="game"))


def test_the_counts_are_those_of_the_product(bound):
    assert bound.session_counts(Scope(), None, frozenset(), 1)[0].sessions == 1
    assert [each.event.name for each in bound.newest_events(Scope(), None, frozenset(), "debug", 10)] == [
        "editor"
    ]


def test_names_of_all_products_are_refused(bound):
    for ask in (bound.metric_names, bound.event_names):
        with pytest.raises(KeyForbids):
            ask(10)
