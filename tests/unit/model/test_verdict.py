"""What several watchers' words add up to."""

from itertools import permutations
from typing import Any

import msgspec
import pytest

from datacat.model.fold import fold
from datacat.model.lifecycle import Status
from datacat.model.limits import MAX_EXIT_BYTES
from datacat.model.problems import Problem
from datacat.model.records import Batch, End, Event, Exit, Heartbeat, Origin, Record, Start
from datacat.model.session import Session
from datacat.model.stops import Stop

ID = "01934f5e-0000-7000-8000-000000000001"
SECOND = 1_000_000
HUNG, RECOVERED = "application_appears_hung", "application_recovered"
STACKS = [
    {
        "thread": "MainThread",
        "frames": [
            {"file": "/app/worker.py", "line": 31, "function": "main", "code": "item = q.get()"},
            {"file": "/usr/lib/python3.11/queue.py", "line": 171, "function": "Queue.get", "code": "wait()"},
        ],
    }
]


class Run:
    """One session's life, told by any origin; numbers its records by itself."""

    def __init__(self, **start):
        self.rows: dict[tuple[str, int], Problem] = {}
        self.now = 0
        self.session: Session
        self.tell(Origin.APP, Start(time=0, **start))

    def tell(self, origin, *records: Record, at=None):
        session = getattr(self, "session", None)
        last = session.last_seq.get(origin, 0) if session else 0
        for seq, record in enumerate(records, last + 1):
            record.seq = seq
        self.now = self.now if at is None else at
        folded = fold(session, Batch(ID, origin, list(records)), self.now)
        self.session = folded.session
        for row in folded.problems:
            before = self.rows.get((row.kind, row.number))
            evidence = row.evidence or (before.evidence if before else row.evidence)
            self.rows[row.kind, row.number] = msgspec.structs.replace(row, evidence=evidence)
        return self

    def app(self, *records, at=None):
        return self.tell(Origin.APP, *records, at=at)

    def watchdog(self, *records, at=None):
        return self.tell(Origin.WATCHDOG, *records, at=at)

    def parent(self, *records, at=None):
        return self.tell(Origin.PARENT, *records, at=at)

    @property
    def verdict(self):
        return self.session.status, self.session.cause


def event(name, time, **data):
    return Event(time=time, name=name, data=msgspec.Raw(msgspec.json.encode(data)))


def hung(time, silent=2.0, **data):
    return event(HUNG, time, seconds_since_heartbeat=silent, **data)


def went(cause, time=100 * SECOND, message=None, **data):
    return Exit(time=time, cause=cause, message=message, data=msgspec.Raw(msgspec.json.encode(data)))


@pytest.mark.parametrize("cause", ["clean", "interrupted", "replaced"])
def test_a_goodbye_is_an_end(cause):
    assert Run().app(went(cause)).verdict == (Status.ENDED, cause)


@pytest.mark.parametrize(
    "cause", ["exception", "exit_code", "signal", "oom", "unknown", "a word of tomorrow"]
)
def test_any_other_exit_is_a_crash(cause):
    assert Run().app(went(cause)).verdict == (Status.CRASHED, cause)


def test_an_end_that_came_with_the_interpreter_is_corrected_by_who_saw_it_end_badly():
    run = Run().app(went("clean")).parent(went("exit_code", exit_code=3))
    assert run.verdict == (Status.CRASHED, "exit_code")
    assert run.session.exit == {"cause": "exit_code", "exit_code": 3}
    assert run.session.ended_at == 100 * SECOND
    assert run.rows["crash", 1].title == "exit code 3"


def test_an_end_is_not_corrected_by_its_own_origin_nor_by_who_saw_nothing():
    assert Run().app(went("clean")).app(went("signal")).verdict == (Status.ENDED, "clean")
    assert Run().app(went("clean")).watchdog(went("unknown")).verdict == (Status.ENDED, "clean")


def test_an_end_that_the_program_said_is_final_and_what_others_saw_is_kept():
    run = Run().app(End(time=SECOND)).parent(went("signal", signal=9))
    assert run.verdict == (Status.ENDED, "clean")
    assert run.session.exit == {"cause": "signal", "signal": 9}
    assert not run.rows
    run = Run().app(went("clean"), End(time=SECOND)).parent(went("signal", signal=9))
    assert run.verdict == (Status.ENDED, "clean")


def test_a_goodbye_that_says_more_takes_the_place_of_one_that_says_less():
    assert Run().app(went("clean")).parent(went("interrupted")).verdict == (Status.ENDED, "interrupted")


def test_whoever_is_heard_first_the_cause_that_says_more_stays_with_all_that_is_known():
    told: list[tuple[Origin, str, dict[str, Any]]] = [
        (Origin.APP, "unknown", {"pid": 7}),
        (Origin.PARENT, "signal", {"signal": 9, "stderr": "from the parent"}),
        (Origin.WATCHDOG, "oom", {"stderr": "from the watchdog", "memory": 5}),
    ]
    for order in permutations(told):
        run = Run()
        for origin, cause, data in order:
            run.tell(origin, went(cause, **data))
        assert run.verdict == (Status.CRASHED, "oom")
        assert run.session.exit == {
            "cause": "oom", "pid": 7, "signal": 9, "stderr": "from the watchdog", "memory": 5,
        }  # fmt: skip
        assert list(run.rows) == [("crash", 1)]


@pytest.mark.parametrize("cause", ["signal", "unknown"])
def test_a_death_in_the_middle_of_a_hang_is_killed_while_hung(cause):
    run = Run().app(hung(10 * SECOND, stacks=STACKS)).parent(went(cause, 20 * SECOND, signal=9))
    assert run.verdict == (Status.CRASHED, "killed_while_hung")
    assert run.session.hung_at_end
    assert run.session.exit["cause"] == cause
    assert run.rows["crash", 1].title.startswith("killed by SIGKILL while hung in Queue.get (worker.py:31)")
    run.watchdog(went("signal", signal=9, core_dumped=True))
    assert run.verdict == (Status.CRASHED, "killed_while_hung")
    assert run.session.exit["core_dumped"]


def test_an_exception_in_the_middle_of_a_hang_stays_an_exception():
    run = Run().app(hung(10 * SECOND), went("exception", type="ValueError"))
    assert run.verdict == (Status.CRASHED, "exception")
    assert run.session.hung_at_end


def test_a_hang_that_is_heard_of_after_the_death_makes_the_same_verdict():
    run = Run().parent(went("signal", 20 * SECOND, signal=9)).app(hung(10 * SECOND, stacks=STACKS))
    assert run.verdict == (Status.CRASHED, "killed_while_hung")
    span = run.rows["hang", 1]
    assert (span.started_at, span.ended_at, span.seconds) == (8 * SECOND, 20 * SECOND, 12.0)
    run.app(event(RECOVERED, 15 * SECOND, seconds_hung=7.0))
    assert run.verdict == (Status.CRASHED, "signal")
    assert not run.session.hung_at_end
    assert run.session.hang_seconds == 7.0


def test_a_hang_from_after_the_end_is_an_event_and_no_more():
    run = Run().parent(went("clean", 5 * SECOND)).app(hung(10 * SECOND))
    assert run.verdict == (Status.ENDED, "clean")
    assert not run.session.hung_at_end
    assert (run.session.hangs, run.session.events) == (0, 1)


def test_details_are_bounded_and_keep_the_end_of_what_is_too_long():
    run = Run().app(went("signal", message="m", stderr="x" * 3 * MAX_EXIT_BYTES + "the end", exit_code=1))
    kept = run.session.exit
    assert len(msgspec.json.encode(kept)) <= MAX_EXIT_BYTES
    assert (kept["message"], kept["exit_code"], kept["stderr"][-7:]) == ("m", 1, "the end")
    run = Run().app(went("signal", things=["x" * 100] * 5000, **{f"key{n}": "y" * 90 for n in range(5000)}))
    assert run.session.exit["cause"] == "signal"
    assert len(msgspec.json.encode(run.session.exit)) <= MAX_EXIT_BYTES


def test_a_hang_is_a_span_from_the_last_heartbeat_to_the_recovery():
    run = Run().app(hung(10 * SECOND, monitor="ui", kind="blocked", thread="MainThread", stacks=STACKS))
    span = run.rows["hang", 1]
    assert (span.started_at, span.ended_at, span.seconds) == (8 * SECOND, None, None)
    assert (span.monitor, span.detail) == ("ui", "blocked")
    assert span.title == "blocked in Queue.get (worker.py:31): item = q.get()"
    assert msgspec.json.decode(span.evidence)["stacks"] == STACKS
    run.app(event(RECOVERED, 13 * SECOND, monitor="ui", seconds_hung=4.5))
    span = run.rows["hang", 1]
    assert (span.ended_at, span.seconds) == (13 * SECOND, 4.5)
    session = run.session
    assert (session.hangs, session.hang_seconds, session.first_hang_at) == (1, 4.5, 8 * SECOND)
    assert session.status is Status.ACTIVE


def test_a_hang_that_lasts_to_the_end_ends_with_the_program():
    run = Run().app(hung(10 * SECOND), End(time=12 * SECOND))
    assert (run.rows["hang", 1].ended_at, run.rows["hang", 1].seconds) == (12 * SECOND, 4.0)
    assert run.verdict == (Status.ENDED, "clean")


def test_two_watchers_that_report_one_hang_make_one_span_in_any_order():
    reports = [
        (Origin.APP, hung(10 * SECOND)),
        (Origin.WATCHDOG, hung(11 * SECOND, 3.0)),
        (Origin.APP, event(RECOVERED, 14 * SECOND, seconds_hung=5.5)),
        (Origin.WATCHDOG, event(RECOVERED, 14 * SECOND, seconds_hung=5.5)),
    ]
    for order in ((0, 1, 2, 3), (0, 2, 1, 3), (1, 3, 0, 2)):
        run = Run()
        for index in order:
            origin, record = reports[index]
            run.tell(origin, msgspec.structs.replace(record))
        assert run.session.hangs == 1
        assert run.session.status is Status.ACTIVE
        assert run.rows["hang", 1].seconds == 5.5


def beating(time, beat, silent, **data):
    return hung(time, silent, heartbeat=beat, **data)


def back(time, beat, seconds, **data):
    return event(RECOVERED, time, heartbeat=beat, seconds_hung=seconds, **data)


def spans(run):
    return sorted((row.started_at // SECOND, row.seconds) for row in run.rows.values() if row.kind == "hang")


def test_what_watchers_tell_of_two_hangs_is_two_spans_in_any_order():
    first = [
        (Origin.WATCHDOG, beating(11 * SECOND, 500.25, 3.0, kind="spinning")),
        (Origin.APP, beating(13 * SECOND, 500.25, 5.0, kind="blocked", stacks=STACKS)),
        (Origin.WATCHDOG, back(15 * SECOND, 500.25, 6.0, seconds_since_heartbeat=1)),
        (Origin.APP, back(14 * SECOND, 500.25, 6.0)),
    ]
    second = [
        (Origin.WATCHDOG, beating(16 * SECOND, 506.25, 2.0, kind="blocked")),
        (Origin.APP, back(60 * SECOND, 506.25, 46.0)),
    ]
    for told in permutations(first + second):
        run = Run()
        for origin, record in told:
            run.tell(origin, msgspec.structs.replace(record))
        assert spans(run) == [(8, 6.0), (14, 46.0)]
        assert (run.session.hangs, run.session.hang_seconds) == (2, 52.0)
        assert run.session.first_hang_at == 8 * SECOND
        assert run.session.status is Status.ACTIVE


def test_a_recovery_ends_its_hang_though_the_clock_was_set_back_meanwhile():
    run = Run().app(beating(100 * SECOND, 7.5, 5.0), back(40 * SECOND, 7.5, 9.0))
    assert run.session.status is Status.ACTIVE
    assert spans(run) == [(95, 9.0)]


def test_a_recovery_that_is_dated_to_its_heartbeat_comes_before_the_end():
    run = Run().watchdog(beating(10 * SECOND, 7.5, 2.0)).app(went("clean", time=12 * SECOND))
    assert run.session.hung_at_end
    run.watchdog(back(13 * SECOND, 7.5, 3.5, seconds_since_heartbeat=1.5))
    assert not run.session.hung_at_end
    assert spans(run) == [(8, 3.5)]


def test_who_began_to_watch_late_shortens_no_hang_that_lasted_to_the_end():
    beginning, middle = beating(10 * SECOND, 7.5, 2.0), beating(19 * SECOND, 7.5, 3.0)
    death = went("signal", time=20 * SECOND, signal=9)
    assert spans(Run().app(beginning).parent(death).watchdog(middle)) == [(8, 12.0)]
    assert spans(Run().watchdog(middle).parent(death).app(beginning)) == [(8, 12.0)]


def test_a_late_report_without_a_heartbeat_is_not_of_a_hang_that_began_since():
    run = Run().app(hung(22 * SECOND, 2.0))
    run.watchdog(hung(10 * SECOND, 2.0, stacks=STACKS), event(RECOVERED, 14 * SECOND, seconds_hung=6.0))
    assert (run.session.hangs, run.session.status) == (2, Status.HUNG)
    run.app(event(RECOVERED, 26 * SECOND, seconds_hung=6.0))
    assert spans(run) == [(8, 6.0), (20, 6.0)]
    assert run.session.status is Status.ACTIVE


def test_a_thread_that_has_ended_hangs_nowhere():
    run = Run().app(hung(10 * SECOND, thread="", thread_ended=True, stacks=STACKS))
    assert run.rows["hang", 1].title == "hung in a thread that has ended"


def test_a_loop_that_waits_for_its_tasks_hangs_in_none_of_its_own_functions():
    frames = [
        {"file": "/srv/worker.py", "line": 22, "function": "<module>", "code": "asyncio.run(main())"},
        {"file": "/usr/lib/python3.11/asyncio/runners.py", "line": 190, "function": "run"},
        {"file": "/usr/lib/python3.11/selectors.py", "line": 468, "function": "EpollSelector.select"},
    ]
    stacks = [{"thread": "MainThread", "frames": frames}]
    task = {"frames": [{"file": "/srv/worker.py", "line": 6, "function": "reply", "code": "await answer"}]}

    def told(*pending, **loop):
        loop |= {"idle": True, "pending": list(pending)}
        samples = [{"frames": frames}]
        run = Run().app(hung(10 * SECOND, thread="MainThread", asyncio=loop, stacks=stacks, samples=samples))
        return run.rows["hang", 1]

    assert told(task, task).title == "hung in an idle event loop (worker.py:22): asyncio.run(main())"
    assert told(task).title == "hung in reply (worker.py:6): await answer"
    assert told(task | {"for_tasks": True}, task).title == told(task).title
    assert told(task | {"for_tasks": True}, task, tasks=70).title == told(task, task).title
    assert told(task).fingerprint != told(task, task).fingerprint
    for strange in ("strange", {}, {"frames": 7}):
        assert told(strange).title == told(task, task).title


def test_who_began_to_watch_in_the_middle_of_a_hang_speaks_of_the_same():
    from_its_middle = hung(11 * SECOND, 1.0), event(RECOVERED, 14 * SECOND, seconds_hung=4.0)
    from_its_beginning = hung(13 * SECOND, 5.0), event(RECOVERED, 14 * SECOND, seconds_hung=6.0)
    assert Run().watchdog(*from_its_middle).app(*from_its_beginning).session.hangs == 1
    assert Run().app(*from_its_beginning).watchdog(*from_its_middle).session.hangs == 1


def test_a_hang_that_is_heard_of_after_the_next_is_a_span_of_its_own():
    run = Run().app(hung(20 * SECOND), event(RECOVERED, 24 * SECOND, seconds_hung=6.0))
    run.watchdog(hung(18 * SECOND, 4.0), event(RECOVERED, 18 * SECOND, seconds_hung=4.0))
    assert run.session.hangs == 2


def test_the_next_hang_of_a_monitor_is_a_span_of_its_own():
    run = Run().app(hung(10 * SECOND), event(RECOVERED, 14 * SECOND, seconds_hung=5.5), hung(16 * SECOND))
    assert (run.session.hangs, run.session.status) == (2, Status.HUNG)


def test_better_evidence_is_taken_and_worse_is_not():
    run = Run().watchdog(hung(10 * SECOND, kind="unknown"))
    assert run.rows["hang", 1].title == "hung, no stacks known"
    run.app(hung(10 * SECOND, kind="blocked", stacks=STACKS))
    better = run.rows["hang", 1]
    assert better.title == "blocked in Queue.get (worker.py:31): item = q.get()"
    assert msgspec.json.decode(better.evidence)["stacks"] == STACKS
    run.watchdog(hung(11 * SECOND, 3.0, kind="spinning", stacks=[]))
    assert run.rows["hang", 1] == better


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"seconds": 61},
        {"stacks": "none", "samples": {}, "monitor": 7, "kind": [], "thread": {}},
        {"stacks": [1, {"frames": 2}, {"frames": [3, {"function": 4}]}], "samples": [5, {"frames": None}]},
        {"stacks": [{"frames": [{"function": "f", "line": "x", "file": 3}]}]},
        {"seconds_since_heartbeat": True},
        {"seconds_since_heartbeat": 1e308, "monitor": "x" * 10_000},
        {"seconds_since_heartbeat": -5, "seconds_hung": "long"},
    ],
)
@pytest.mark.parametrize("name", [HUNG, "app_appears_hung"])
def test_a_hang_told_by_hand_with_any_data_is_a_hang(name, data):
    run = Run().tell(Origin.API, event(name, 10 * SECOND, **data))
    assert run.verdict == (Status.HUNG, None)
    assert 0 <= run.rows["hang", 1].started_at <= 10 * SECOND
    monitor = {"monitor": data["monitor"]} if "monitor" in data else {}
    run.tell(Origin.API, event(RECOVERED, 11 * SECOND, **monitor, seconds_hung="no number"))
    assert run.session.status is Status.ACTIVE


def test_a_session_remembers_few_of_its_hangs_and_counts_them_all():
    run = Run()
    for n in range(1, 101):
        run.app(hung(10 * n * SECOND), event(RECOVERED, (10 * n + 1) * SECOND, seconds_hung=3.0))
    run.app(*(hung(2000 * SECOND, monitor=f"m{n}") for n in range(100)))
    assert (run.session.hangs, run.session.hang_seconds) == (200, 300.0)
    assert len(run.session.recent_hangs) == 80


def lost(at, **start):
    word = event("contact_lost", at, silent_seconds=1)
    return Run(contact_timeout=5.0, **start).tell(Origin.SERVER, word, at=at)


def test_a_session_that_is_silent_for_longer_than_promised_is_lost():
    run = lost(6 * SECOND)
    assert run.session.status is Status.LOST
    assert (run.session.updated_at, run.session.events) == (0, 1)
    row = run.rows["lost", 1]
    assert (row.started_at, row.ended_at, row.title) == (0, None, "silent for longer than the promised 5 s")


def test_the_servers_word_counts_only_while_it_is_so():
    run = lost(5 * SECOND)
    assert (run.session.status, run.session.events) == (Status.ACTIVE, 0)
    assert run.session.last_seq[Origin.SERVER] == 1
    run = Run().tell(Origin.SERVER, event("contact_lost", 0), at=10**12)
    assert run.session.status is Status.ACTIVE
    run = Run(contact_timeout=5.0).app(event("contact_lost", 0), at=10**12)
    assert (run.session.status, run.session.events) == (Status.ACTIVE, 1)
    assert not run.rows


@pytest.mark.parametrize("origin", [Origin.APP, Origin.WATCHDOG, Origin.PARENT])
def test_an_empty_batch_is_contact_and_wakes_a_lost_session(origin):
    run = lost(6 * SECOND).tell(origin, at=9 * SECOND)
    assert (run.session.status, run.session.updated_at) == (Status.ACTIVE, 9 * SECOND)
    row = run.rows["lost", 1]
    assert (row.ended_at, row.seconds) == (9 * SECOND, 9.0)
    run.tell(Origin.SERVER, event("contact_lost", 0), at=20 * SECOND)
    assert (run.session.status, run.session.times_lost) == (Status.LOST, 2)


def test_an_empty_batch_of_the_server_is_no_contact():
    assert lost(6 * SECOND).tell(Origin.SERVER, at=9 * SECOND).session.status is Status.LOST


def test_a_lost_session_that_was_hung_is_hung_again_when_it_speaks():
    run = Run(contact_timeout=5.0).app(hung(SECOND, 0.5), at=0)
    run.tell(Origin.SERVER, event("contact_lost", 0), at=6 * SECOND)
    assert run.session.status is Status.LOST
    assert run.app(Heartbeat(time=7 * SECOND), at=7 * SECOND).session.status is Status.HUNG


def test_a_lost_session_whose_death_is_told_is_a_crash_and_no_longer_lost():
    run = lost(6 * SECOND).parent(went("signal", signal=9), at=8 * SECOND)
    assert run.verdict == (Status.CRASHED, "signal")
    assert run.rows["lost", 1].ended_at == 8 * SECOND


def test_the_promise_of_contact_is_filled_in_once():
    run = Run().app(Start(time=1, contact_timeout=3.0)).app(Start(time=2, contact_timeout=9.0))
    assert run.session.contact_timeout == 3.0


def stopped(time, by="a signal"):
    return Event(time=time, name="application_stopped", data=msgspec.Raw(msgspec.json.encode({"by": by})))


def test_a_process_is_stopped_from_when_the_watchdog_saw_it_until_it_goes_on():
    run = Run().watchdog(stopped(5 * SECOND))
    assert run.session.stopped == Stop(5 * SECOND, "a signal")
    run.watchdog(Event(time=9 * SECOND, name="application_continued"))
    assert run.session.stopped is None


def test_a_process_that_is_killed_while_it_is_stopped_stays_so():
    run = Run().watchdog(stopped(5 * SECOND, "a debugger"), Exit(time=7 * SECOND, cause="signal"))
    run.watchdog(Event(time=9 * SECOND, name="application_continued"))
    assert run.session.stopped == Stop(5 * SECOND, "a debugger")


def test_a_stop_is_known_whoever_tells_the_end_first():
    run = Run().parent(Exit(time=7 * SECOND, cause="signal")).watchdog(stopped(5 * SECOND))
    assert run.session.stopped == Stop(5 * SECOND, "a signal")


def test_a_session_that_another_process_goes_on_with_is_not_stopped():
    run = Run().watchdog(stopped(5 * SECOND)).app(Start(time=SECOND))
    assert run.session.stopped == Stop(5 * SECOND, "a signal")
    assert run.app(Start(time=9 * SECOND)).session.stopped is None


@pytest.mark.parametrize("lost", [False, True])
def test_a_session_that_another_process_goes_on_with_hangs_no_more(lost):
    run = Run(contact_timeout=1.0).app(hung(5 * SECOND), at=5 * SECOND)
    if lost:
        run.tell(Origin.SERVER, event("contact_lost", 8 * SECOND), at=8 * SECOND)
        assert run.session.status is Status.LOST
    run.app(Start(time=9 * SECOND), at=9 * SECOND)
    assert (run.session.status, run.session.hangs, run.session.hang_seconds) == (Status.ACTIVE, 1, 6.0)
    assert run.rows["hang", 1].ended_at == 9 * SECOND
    run.app(End(time=20 * SECOND))
    assert (run.session.status, run.session.hung_at_end) == (Status.ENDED, False)


def test_a_start_that_is_sent_again_ends_no_hang():
    run = Run().app(hung(5 * SECOND)).app(Start(time=0))
    assert run.session.status is Status.HUNG


def test_a_program_that_says_that_it_was_stopped_is_not():
    assert Run().app(stopped(5 * SECOND)).session.stopped is None


@pytest.mark.parametrize("data", [b"", b"[]", b'{"by":7}'])
def test_a_stop_that_does_not_say_by_what_was_by_a_signal(data):
    event = Event(time=SECOND, name="application_stopped", data=msgspec.Raw(data))
    assert Run().watchdog(event).session.stopped == Stop(SECOND, "a signal")
