import json

import pytest

from datacat.model.errors import Busy, InvalidInput, UnknownSession
from datacat.model.fold import fold
from datacat.model.records import Batch, End, Event, Metric, Origin, Start
from datacat.query.live import LINGER, MOST_TOLD, PERIOD, Hub, Overtaken
from datacat.query.news import KINDS, LEVELS, Filter
from datacat.query.ring import Ring
from datacat.testing import FakeClock
from datacat.wire.sse import Parser

ID = "01934f5e-0000-7000-8000-000000000001"
EVERYTHING = Filter(kinds=frozenset(KINDS))
EVENTS = Filter(kinds=frozenset({"event"}))


class Stage:
    """A hub whose time stands still, and programs that record."""

    def __init__(self, **limits):
        self.clock = FakeClock()
        self.due = []
        self.hub = Hub(self.clock, later=self.later, **limits)
        self.known = {}

    def later(self, seconds, call):
        self.due.append((self.clock.monotonic() + seconds, call))

    def pass_time(self, seconds):
        self.clock.advance(seconds)
        due = [each for each in self.due if each[0] <= self.clock.monotonic()]
        self.due = [each for each in self.due if each not in due]
        for _, call in due:
            call()

    def commit(self, *records, session_id=ID, product="editor"):
        start = [] if session_id in self.known else [Start(time=1, product=product)]
        folded = fold(self.known.get(session_id), Batch(session_id, Origin.API, [*start, *records]), 1)
        self.known[session_id] = folded.session
        self.hub.committed([folded])

    def events(self, count, name="saved", **at):
        self.commit(*[Event(time=1, name=f"{name}{n}") for n in range(count)], **at)


def read(reader):
    """All that there is to take."""
    messages = []
    while chunk := reader.take():
        messages += Parser().feed(chunk)
    return messages


def names(messages):
    return [json.loads(each.data).get("name", each.event) for each in messages]


def test_with_nobody_listening_nothing_is_done():
    stage = Stage()
    stage.events(3)
    assert (stage.hub.ring.last, stage.due) == (0, [])


def test_a_session_begins_has_events_and_ends_in_this_order():
    stage = Stage()
    reader = stage.hub.subscribe(EVERYTHING, None)
    stage.commit(Event(time=5, name="saved"), Metric(time=3, name="fps", value=60))
    stage.commit(Event(time=6, name="closed"), End(time=7))
    assert [each.event for each in read(reader)] == ["session", "metric", "event", "event", "session"]
    assert not reader.ready.is_set()


def test_what_changes_no_standing_is_no_news_of_the_session():
    stage = Stage()
    stage.commit()
    reader = stage.hub.subscribe(Filter(kinds=frozenset({"session"})), None)
    stage.events(2)
    assert read(reader) == []


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        (Filter(kinds=frozenset({"event"}), least_level=LEVELS.index("error")), ["failed"]),
        (Filter(kinds=frozenset({"metric"})), ["fps"]),
        (Filter(kinds=frozenset({"event"}), product="editor"), ["saved", "failed"]),
        (Filter(kinds=frozenset({"event"}), product="other"), []),
        (Filter(kinds=frozenset({"event"}), environment="prod"), []),
    ],
)
def test_a_reader_is_told_what_it_wants_though_another_wants_all(wanted, seen):
    stage = Stage()
    other, reader = stage.hub.subscribe(EVERYTHING, None), stage.hub.subscribe(wanted, None)
    stage.commit(
        Event(time=1, name="saved"),
        Event(time=2, name="failed", level="error"),
        Metric(time=3, name="fps", value=1),
    )
    assert names(read(reader)) == seen
    assert len(read(other)) == 4


def test_a_reader_who_comes_back_goes_on_where_it_was():
    stage = Stage()
    reader = stage.hub.subscribe(EVENTS, None)
    stage.events(3)
    last_id = read(reader)[0].id
    reader.leave()
    stage.pass_time(LINGER / 2)
    stage.events(1, "meanwhile")
    again = stage.hub.subscribe(EVENTS, last_id)
    assert again.ready.is_set()
    assert again.gap is None
    assert names(read(again)) == ["saved1", "saved2", "meanwhile0"]


def test_after_a_while_nothing_is_kept_up_for_whom_has_left():
    stage = Stage()
    reader = stage.hub.subscribe(EVENTS, None)
    stage.events(1)
    last_id = read(reader)[0].id
    reader.leave()
    stage.pass_time(LINGER)
    assert stage.hub.ring.bytes == 0
    stage.events(1)
    again = stage.hub.subscribe(EVENTS, last_id)
    assert again.gap is not None
    assert again.gap.reason == "forgotten"
    assert read(again) == []
    stage.events(1, "from now on")
    assert names(read(again)) == ["from now on0"]


def test_who_comes_back_in_time_is_kept_up_though_it_left_before():
    stage = Stage()
    reader = stage.hub.subscribe(EVENTS, None)
    reader.leave()
    stage.pass_time(LINGER - 1)
    again = stage.hub.subscribe(EVENTS, reader.id)
    stage.pass_time(2)
    stage.events(1)
    assert names(read(again)) == ["saved0"]


def test_an_id_of_another_filter_may_lack_something_and_is_a_gap():
    stage = Stage()
    reader = stage.hub.subscribe(EVENTS, None)
    stage.commit(Event(time=1, name="saved"), Metric(time=1, name="fps", value=1))
    (message,) = read(reader)
    again = stage.hub.subscribe(EVERYTHING, message.id)
    assert again.gap is not None
    assert again.gap.reason == "forgotten"


def test_an_id_of_an_earlier_run_is_a_gap():
    last_id = Stage().hub.subscribe(EVENTS, None).id
    later = Stage()
    later.hub = Hub(FakeClock(1_732_380_001_000_000), later=later.later)
    again = later.hub.subscribe(EVENTS, last_id)
    assert again.gap is not None
    assert again.gap.reason == "restarted"


def test_what_is_no_id_is_refused():
    with pytest.raises(InvalidInput, match="no id of this stream"):
        Stage().hub.subscribe(EVENTS, "e1.m2.c3")


def test_a_reader_who_does_not_read_is_overtaken_and_no_other_is():
    stage = Stage(ring=Ring(most=4))
    slow, quick = stage.hub.subscribe(EVENTS, None), stage.hub.subscribe(EVENTS, None)
    for _ in range(3):
        stage.events(2)
        assert len(read(quick)) == 2
    with pytest.raises(Overtaken):
        slow.take()
    assert stage.hub.ring.last - stage.hub.ring.first == 3


def test_a_reader_whom_nothing_concerns_is_not_overtaken():
    stage = Stage(ring=Ring(most=4))
    quiet = stage.hub.subscribe(Filter(kinds=frozenset({"event"}), product="quiet"), None)
    loud = stage.hub.subscribe(EVENTS, None)
    for _ in range(5):
        stage.events(2)
        read(loud)
        assert not quiet.ready.is_set()
    stage.events(1, session_id=ID[:-1] + "2", product="quiet")
    assert names(read(quiet)) == ["saved0"]


def test_the_ring_is_bounded_in_bytes_and_holds_the_newest_whatever_it_weighs():
    stage = Stage(ring=Ring(most_bytes=1_000))
    reader = stage.hub.subscribe(EVENTS, None)
    for _ in range(20):
        stage.events(1)
        read(reader)
    assert stage.hub.ring.bytes <= 1_000
    assert stage.hub.ring.first > 1
    stage.events(1, "x" * 2_000)
    assert len(read(reader)) == 1
    assert stage.hub.ring.first == stage.hub.ring.last


def test_what_is_more_than_is_told_at_once_is_counted_and_told():
    stage = Stage()
    reader = stage.hub.subscribe(EVENTS, None)
    other = stage.hub.subscribe(Filter(kinds=frozenset({"problem"})), None)
    stage.events(MOST_TOLD + 5)
    stage.events(7)
    assert len(read(reader)) == MOST_TOLD
    stage.pass_time(PERIOD)
    (gap,) = read(reader)
    assert gap.event == "gap"
    assert '"reason":"too_many"' in gap.data
    assert '"left_out":{"event":12}' in gap.data
    assert read(other) == []
    assert stage.hub.counts.left_out == 12
    stage.events(1, "again")
    assert names(read(reader)) == ["again0"]


def test_readers_at_one_place_are_given_the_same_bytes():
    stage = Stage()
    readers = [stage.hub.subscribe(EVENTS, None) for _ in range(3)]
    stage.events(3)
    pieces = [reader.take() for reader in readers]
    assert pieces[0] is pieces[1] is pieces[2]
    assert stage.hub.counts.messages == 9
    assert [reader.take() for reader in readers] == [b"", b"", b""]
    stage.events(1)
    assert names(read(readers[0])) == ["saved0"]


def test_too_many_readers_are_turned_away_until_one_leaves():
    stage = Stage(most_readers=2)
    reader, watch = stage.hub.subscribe(EVENTS, None), stage.hub.watch(ID)
    for refused in (lambda: stage.hub.subscribe(EVENTS, None), lambda: stage.hub.watch(ID)):
        with pytest.raises(Busy, match="2 readers"):
            refused()
    watch.leave()
    reader.leave()
    reader.leave()
    assert stage.hub.readers == 0
    stage.hub.watch(ID)
    stage.hub.subscribe(EVENTS, None)


def test_what_is_kept_up_for_those_who_left_is_bounded():
    stage = Stage(most_readers=3)
    for n in range(10):
        stage.hub.subscribe(Filter(kinds=frozenset({"event"}), product=str(n)), None).leave()
    assert len(stage.hub._covers) == 3


def test_a_watch_is_told_of_its_own_session_alone():
    stage = Stage()
    watch, other = stage.hub.watch(ID), stage.hub.watch(ID[:-1] + "2")
    assert watch.take() == (None, False)
    stage.events(1)
    assert not other.ready.is_set()
    assert watch.ready.is_set()
    session, problems = watch.take()
    assert session is not None
    assert (session.events, problems) == (1, False)
    stage.commit(Event(time=2, name="application_appears_hung"))
    assert watch.take() == (stage.known[ID], True)


def test_a_watch_is_told_that_its_session_is_removed_whatever_is_committed_then():
    stage = Stage()
    watch, other = stage.hub.watch(ID), stage.hub.watch(ID[:-1] + "2")
    stage.hub.removed(ID)
    assert (watch.ready.is_set(), other.ready.is_set()) == (True, False)
    stage.events(1)
    with pytest.raises(UnknownSession):
        watch.take()


def test_at_the_stop_everybody_is_woken_and_nobody_is_let_in():
    stage = Stage()
    reader, watch = stage.hub.subscribe(EVENTS, None), stage.hub.watch(ID)
    stage.hub.close()
    assert reader.ready.is_set()
    assert watch.ready.is_set()
    with pytest.raises(Busy, match="stopping"):
        stage.hub.watch(ID)
