import msgspec
import pytest
from tests.contract.model_store import ModelStore

from datacat.ingest.committer import commit
from datacat.model.errors import InvalidInput
from datacat.model.records import Batch, Event, Metric, Origin, Start, State
from datacat.query.following import Following, Position, parse_position
from datacat.query.news import KINDS, LEVELS
from datacat.wire.sse import Parser

ID = "01934f5e-0000-7000-8000-000000000001"
ALL = frozenset(KINDS)


class Program:
    """A session in a store, and what its readers are told."""

    def __init__(self):
        self.store = ModelStore()
        self.commit(Start(time=1, product="editor"))

    def commit(self, *records):
        commit(self.store, [Batch(ID, Origin.API, list(records))], 1)

    @property
    def session(self):
        return self.store.known[ID]

    def follow(self, kinds=ALL, level="debug"):
        return Following(self.store, ID, kinds, LEVELS.index(level))


def told(chunk):
    return [(each.event, msgspec.json.decode(each.data)) for each in Parser().feed(chunk)]


def rest(following, session, **changed):
    """All that is told until there is no more."""
    messages = told(following.read(session, 1, problems=changed.get("problems", False)))
    while following.behind:
        messages += told(following.read(None, 1, problems=False))
    return messages


def test_a_new_reader_is_told_how_the_session_stands_and_then_what_is_new():
    program = Program()
    program.commit(Event(time=2, name="old"))
    following = program.follow()
    ((kind, session),) = told(following.begin(None, 0, 1))
    assert (kind, session["id"], session["events"]) == ("session", ID, 1)
    assert rest(following, None) == []
    program.commit(
        Event(time=5, name="new"), Metric(time=3, name="fps", value=60), State(time=4, merge={"a": 1})
    )
    found = rest(following, program.session)
    assert [(kind, data["number"]) for kind, data in found] == [("metric", 1), ("state", 1), ("event", 2)]
    assert str(following.position) == "e2.m1.c1.p0"


def test_a_new_reader_may_begin_with_the_last_rows():
    program = Program()
    program.commit(*[Event(time=n, name=f"e{n}") for n in range(5)])
    following = program.follow()
    following.begin(None, 2, 1)
    assert [data["name"] for _, data in rest(following, None)] == ["e3", "e4"]


def test_from_whatever_id_a_reader_goes_on_it_has_everything_in_the_end():
    program = Program()
    program.commit(
        *[Event(time=2 * n, name="e") for n in range(450)],
        *[Metric(time=2 * n + 1, name="m", value=n) for n in range(230)],
        *[State(time=n, merge={"n": n}) for n in range(45)],
    )
    following = program.follow()
    following.begin(Position(), 0, 1)
    stream = b""
    while following.behind:
        stream += following.read(None, 1, problems=False)
    whole = list(Parser().feed(stream))
    assert len(whole) == 450 + 230 + 45
    for place in (0, 1, 199, 200, 201, 500, 724):
        again = program.follow()
        again.begin(parse_position(whole[place].id, field="after"), 0, 1)
        assert len(rest(again, None)) == len(whole) - place - 1
        assert again.position == following.position


def test_kinds_and_levels_that_are_not_wanted_are_passed_over():
    program = Program()
    program.commit(
        *[Event(time=n, name="fine") for n in range(300)],
        Event(time=9, name="bad", level="error"),
        Metric(time=1, name="m", value=1),
        State(time=1, merge={"a": 1}),
    )
    following = program.follow(frozenset({"event"}), "error")
    assert following.begin(Position(), 0, 1) == b""
    assert [data["number"] for _, data in rest(following, None)] == [301]
    assert str(following.position) == "e301.m1.c1.p0"


def test_problems_are_told_when_they_change_and_after_an_id_from_before():
    program = Program()
    following = program.follow()
    following.begin(None, 0, 1)
    before = following.position
    program.commit(Event(time=2_000_000, name="application_appears_hung"))
    found = rest(following, program.session, problems=True)
    assert [kind for kind, _ in found] == ["event", "problem", "session"]
    assert found[1][1]["number"] == 1
    assert found[2][1]["status"] == "hung"
    known = following.position
    again, another = program.follow(), program.follow()
    assert [kind for kind, _ in told(again.begin(known, 0, 1))] == ["session"]
    assert [kind for kind, _ in told(another.begin(before, 0, 1))] == ["session", "problem"]
    assert another.position.problems == known.problems
    program.commit(Event(time=5_000_000, name="application_recovered"))
    (_, (kind, problem), _) = rest(again, program.session, problems=True)
    assert (kind, problem["number"], problem["end"] is None) == ("problem", 1, False)


def test_word_of_a_commit_that_comes_late_takes_nothing_back():
    program = Program()
    late = program.session
    program.commit(Event(time=2, name="application_appears_hung"))
    following = program.follow()
    following.begin(None, 0, 1)
    assert rest(following, late) == []
    assert rest(following, program.session) == []


def test_an_id_beyond_the_session_is_of_another_database_and_says_so():
    program = Program()
    program.commit(Event(time=2, name="e"))
    following = program.follow()
    found = told(following.begin(Position(7, 0, 0), 0, 1))
    assert [kind for kind, _ in found] == ["gap", "session"]
    assert found[0][1]["reason"] == "other_database"
    assert following.position.events == 1


@pytest.mark.parametrize(
    "text", ["", "7", "e1.m2", "e1.m2.c3.", "e-1.m0.c0", "e9999999999999999.m0.c0", "e\u0661.m0.c0"]
)
def test_what_is_no_id_is_refused(text):
    with pytest.raises(InvalidInput, match="Last-Event-ID is no place"):
        parse_position(text, field="Last-Event-ID")
