"""Plain posts that arrive together are folded as one batch; what is kept tells nobody so."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.contract.model_store import ModelStore

from datacat.ingest.admit import plain
from datacat.ingest.committer import commit
from datacat.model.lifecycle import CONTACT_LOST, HANG_EVENTS, RECOVERY_EVENTS
from datacat.model.records import Answer, Batch, End, Event, Exit, Heartbeat, Metric, Origin, Start, State

ID = "01934f5e-0000-7000-8000-000000000001"
TIMES = st.integers(1, 9)
MONITORS = st.sampled_from([msgspec.Raw(each) for each in (b"", b'{"monitor":"a"}', b'{"monitor":"b"}')])
SINGLE = st.one_of(
    st.builds(
        Event,
        time=TIMES,
        name=st.sampled_from(["saved", "opened", *sorted(HANG_EVENTS | RECOVERY_EVENTS), CONTACT_LOST]),
        data=MONITORS,
    ),
    st.builds(Metric, time=TIMES, name=st.just("fps"), value=st.just(1.0)),
    st.builds(Heartbeat, time=TIMES),
)
HISTORIES = {
    "active": [],
    "state": [plain(ID, State(time=2, merge={"a": 1}))],
    "hung": [plain(ID, Event(time=2, name="app_appears_hung"))],
    "lost": [Batch(ID, Origin.SERVER, [Event(seq=1, time=3, name=CONTACT_LOST)])],
    "ended": [plain(ID, End(time=2))],
    "crashed": [Batch(ID, Origin.WATCHDOG, [Exit(seq=1, time=2, cause="signal")])],
}
RECEIVED = 10_000_000


def stored(history, batches):
    store = ModelStore()
    for batch in [plain(ID, Start(time=1, contact_timeout=1.0)), *history]:
        assert isinstance(commit(store, [batch], RECEIVED).outcomes[0], Answer)
    outcomes = commit(store, batches, 2 * RECEIVED).outcomes
    problems = [
        (number, msgspec.structs.replace(problem, evidence=None), bytes(problem.evidence or b""))
        for (_, _, number), problem in store.found.items()
    ]
    return (
        store.known,
        store.rows,
        problems,
        sum(outcome.accepted for outcome in outcomes if isinstance(outcome, Answer)),
    )


@given(st.sampled_from(sorted(HISTORIES)), st.lists(SINGLE, min_size=1, max_size=8))
def test_posts_folded_as_one_leave_what_they_leave_one_after_the_other(history, records):
    before = HISTORIES[history]
    assert stored(before, [plain(ID, *records)]) == stored(before, [plain(ID, each) for each in records])
