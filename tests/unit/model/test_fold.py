import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacat.model import limits
from datacat.model.errors import SequenceGap, UnknownSession
from datacat.model.fold import CHECKPOINT_EVERY, fold
from datacat.model.lifecycle import Status
from datacat.model.records import (
    Batch,
    End,
    Event,
    Exit,
    Heartbeat,
    Loss,
    Metric,
    Origin,
    Rejected,
    Start,
    State,
)

ID = "01934f5e-0000-7000-8000-000000000001"


def app(*records):
    return Batch(ID, Origin.APP, list(records))


def numbered(*records, first=1):
    for seq, record in enumerate(records, first):
        record.seq = seq
    return app(*records)


def begun(*records):
    return fold(None, numbered(Start(time=1, product="editor"), *records), received=10)


def event(name="saved", seq=0, **data):
    return Event(seq=seq, time=5, name=name, data=msgspec.Raw(msgspec.json.encode(data)))


def test_a_start_record_creates_the_session():
    session = begun().session
    assert (session.product, session.created_at, session.updated_at) == ("editor", 1, 10)
    assert session.status is Status.ACTIVE


def test_a_batch_for_an_unknown_session_without_a_start_is_refused():
    with pytest.raises(UnknownSession):
        fold(None, numbered(event()), 10)


def test_a_repeated_start_fills_in_what_was_not_known_and_changes_nothing_else():
    session = fold(begun().session, app(Start(seq=2, time=9, product="other", version="2")), 11).session
    assert (session.product, session.version, session.created_at) == ("editor", "2", 1)


def test_a_batch_sent_again_changes_nothing():
    first = begun(event(), Metric(time=2, name="fps", value=1.0))
    again = fold(first.session, numbered(Start(time=1), event(), Metric(time=2, name="fps", value=1.0)), 10)
    assert again.session == first.session
    assert (again.answer.accepted, again.answer.duplicates, again.answer.last_seq) == (0, 3, 3)
    assert not again.events


def test_a_batch_that_overlaps_adds_only_what_is_new():
    first = begun(event("a"))
    second = fold(first.session, app(event("a", seq=2), event("b", seq=3)), 10)
    assert [each.name for each in second.events] == ["b"]
    assert second.session.events == 2


def test_a_batch_beyond_the_next_number_is_refused_whole():
    with pytest.raises(SequenceGap) as caught:
        fold(begun().session, app(event(seq=5)), 10)
    assert caught.value.last_seq == 1


def test_a_loss_record_covers_the_missing_numbers_and_is_counted():
    folded = fold(begun().session, app(Loss(seq=5, time=1, first=2), event(seq=6)), 10)
    assert (folded.session.lost, folded.answer.last_seq) == (4, 6)


def test_a_loss_record_counts_only_what_was_not_known():
    folded = fold(begun(event()).session, app(Loss(seq=5, time=1, first=2)), 10)
    assert folded.session.lost == 3


def test_origins_are_numbered_on_their_own():
    folded = fold(begun().session, Batch(ID, Origin.WATCHDOG, [event(seq=1)]), 10)
    assert folded.session.last_seq == {Origin.APP: 1, Origin.WATCHDOG: 1}


def test_records_of_the_api_are_numbered_by_the_server():
    folded = fold(begun().session, Batch(ID, Origin.API, [event(), event()]), 10)
    assert folded.answer.last_seq == 2


def test_a_rejected_record_uses_up_its_number_and_blocks_nobody():
    folded = fold(begun().session, app(Rejected(2, "wrong_type", "…"), event(seq=3)), 10)
    assert (folded.answer.accepted, len(folded.answer.rejected), folded.session.lost) == (1, 1, 1)


def test_a_hang_and_a_recovery_move_the_status_and_back():
    hung = fold(begun().session, app(event("application_appears_hung", seq=2)), 10).session
    assert hung.status is Status.HUNG
    assert hung.active
    assert fold(hung, app(event("application_recovered", seq=3)), 10).session.status is Status.ACTIVE


def test_a_session_is_hung_until_the_last_monitor_recovers():
    session = begun(
        event("application_appears_hung", monitor="ui"), event("application_appears_hung", monitor="db")
    ).session
    session = fold(session, app(event("application_recovered", seq=4, monitor="ui")), 10).session
    assert session.status is Status.HUNG
    session = fold(session, app(event("application_recovered", seq=5, monitor="db")), 10).session
    assert session.status is Status.ACTIVE


def test_a_session_that_ends_while_hung_says_so():
    session = begun(event("application_appears_hung"), End(time=7)).session
    assert (session.status, session.hung_at_end, session.ended_at) == (Status.ENDED, True, 7)


def test_an_exit_with_a_cause_is_a_crash_and_a_clean_one_a_goodbye():
    assert begun(Exit(time=3, cause="exception")).session.status is Status.CRASHED
    assert begun(Exit(time=3, cause="clean")).session.status is Status.ENDED


def test_what_comes_after_the_end_is_stored_and_changes_no_status():
    session = begun(End(time=3)).session
    folded = fold(session, app(event("late", seq=3), Exit(seq=4, time=9, cause="signal")), 10)
    assert (folded.session.status, folded.session.ended_at, folded.session.events) == (Status.ENDED, 3, 1)


def test_a_heartbeat_is_remembered():
    assert begun(Heartbeat(time=42)).session.last_heartbeat_at == 42


def test_the_founding_merge_flow_step_by_step():
    session = begun(
        State(
            time=2, merge={"window_state": {"open": ["w1"], "active": "w1"}, "memory": {"footprint_mb": 50}}
        ),
        State(time=3, merge={"window_state": {"open": ["w1", "w2"]}}),
        State(time=4, merge={"memory": {"footprint_mb": 75}}),
    ).session
    assert session.state == {
        "window_state": {"open": ["w1", "w2"], "active": "w1"},
        "memory": {"footprint_mb": 75},
    }


def test_removing_goes_before_merging():
    session = begun(
        State(time=1, merge={"a": {"x": 1}}), State(time=2, merge={"a": {"y": 2}}, remove=["/a"])
    ).session
    assert session.state == {"a": {"y": 2}}


def test_every_64th_change_carries_the_whole_state():
    folded = begun(*(State(time=1, merge={str(n): n}) for n in range(130)))
    checkpoints = [n for n, change in enumerate(folded.changes, 1) if change.checkpoint is not None]
    assert checkpoints == [CHECKPOINT_EVERY, 2 * CHECKPOINT_EVERY]
    assert folded.changes[63].checkpoint == {str(n): n for n in range(64)}


def test_a_state_over_the_limit_is_rejected_and_the_state_stays():
    half = "x" * (limits.MAX_STATE_BYTES // 2)
    folded = begun(
        State(time=1, merge={"a": half}), State(time=2, merge={"b": half}), State(time=3, merge={"a": 1})
    )
    assert [rejected.code for rejected in folded.answer.rejected] == ["state_too_large"]
    assert folded.session.state == {"a": 1}


def test_replacing_a_large_value_again_and_again_is_not_mistaken_for_growth():
    half = "x" * (limits.MAX_STATE_BYTES // 2)
    folded = begun(*(State(time=1, merge={"a": half}) for _ in range(5)))
    assert not folded.answer.rejected


records = st.builds(
    lambda kind, text: {
        "event": lambda: event(text or "e"),
        "hang": lambda: event("application_appears_hung"),
        "recovered": lambda: event("application_recovered"),
        "metric": lambda: Metric(time=1, name="m", value=1.0),
        "state": lambda: State(time=1, merge={text: text}),
        "end": lambda: End(time=1),
        "heartbeat": lambda: Heartbeat(time=1),
    }[kind](),
    st.sampled_from(["event", "hang", "recovered", "metric", "state", "end", "heartbeat"]),
    st.text(max_size=2),
)


@given(st.lists(records, max_size=30), st.data())
def test_how_a_log_is_cut_into_batches_and_resent_makes_no_difference(log, data):
    whole = numbered(Start(time=1), *log).records
    expected = fold(None, app(*whole), 10).session
    session, done = None, 0
    while done < len(whole):
        first = data.draw(st.integers(0, done), label="again from")
        last = data.draw(st.integers(done + 1, len(whole)), label="up to")
        session = fold(session, app(*whole[first:last]), 10).session
        done = last
    assert session is not None
    assert msgspec.structs.asdict(session) | {"state_bytes": 0} == msgspec.structs.asdict(expected) | {
        "state_bytes": 0
    }
