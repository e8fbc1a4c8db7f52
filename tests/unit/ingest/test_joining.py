from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from datacat.ingest.joining import answers, join, runs
from datacat.model.fold import MOVING_EVENTS, fold
from datacat.model.lifecycle import Status
from datacat.model.records import Batch, End, Event, Heartbeat, Metric, Origin, Start, State

ID = "01934f5e-0000-7000-8000-000000000001"
NAMES = st.sampled_from(["saved", "opened", *sorted(MOVING_EVENTS)])
RECORDS = st.one_of(
    st.builds(Event, time=st.integers(1, 9), name=NAMES),
    st.builds(Metric, time=st.integers(1, 9), name=st.just("fps"), value=st.just(1.0)),
    st.builds(Heartbeat, time=st.integers(1, 9)),
    st.builds(State, time=st.integers(1, 9), merge=st.just({"a": 1}), remove=st.sampled_from([[], ["bad"]])),
    st.builds(End, time=st.integers(1, 9)),
)


def numbered(origin, records):
    """Only plain calls leave the numbers to the server."""
    for seq, record in enumerate(records, 1):
        record.seq = 0 if origin is Origin.API else seq
    return Batch(ID, origin, records)


BATCHES = st.lists(
    st.builds(
        numbered,
        st.sampled_from([Origin.API, Origin.API, Origin.API, Origin.APP, Origin.WATCHDOG]),
        st.lists(RECORDS, max_size=3),
    ),
    max_size=12,
)
SESSION = replace(fold(None, Batch(ID, Origin.API, [Start(time=1, contact_timeout=1.0)]), 1).session)
LOST = replace(SESSION, status=Status.LOST, silent_since=1, times_lost=1)


def folded(session, batches):
    """The session after all, the rows and problems of all, and the answer of each."""
    folds = []
    for batch in batches:
        folds.append(fold(session, batch, 5))
        session = folds[-1].session
    rows = [
        [row for each in folds for row in getattr(each, kind)] for kind in ("events", "metrics", "changes")
    ]
    return session, rows, [each.problems for each in folds if each.problems], [each.answer for each in folds]


@given(st.sampled_from([SESSION, LOST]), BATCHES)
def test_what_is_joined_is_what_folding_one_after_the_other_gives(session, batches):
    in_runs = list(runs(batches))
    assert [batch for run in in_runs for batch in run] == batches
    *result, joined = folded(session, [join(run) for run in in_runs])
    each = [answer for run, of in zip(in_runs, joined, strict=True) for answer in answers(run, of)]
    assert (*result, each) == folded(session, batches)


def test_plain_posts_of_one_record_are_one_run():
    batches = [numbered(Origin.API, [Event(time=n, name="saved")]) for n in range(5)]
    assert [len(run) for run in runs(batches)] == [5]
    assert [answer.last_seq for answer in answers(batches, fold(SESSION, join(batches), 5).answer)] == [
        2,
        3,
        4,
        5,
        6,
    ]


def test_what_moves_a_session_is_folded_alone():
    saved, hung = (numbered(Origin.API, [Event(time=1, name=name)]) for name in ("saved", "app_appears_hung"))
    assert [len(run) for run in runs([saved, saved, hung, saved])] == [2, 1, 1]
