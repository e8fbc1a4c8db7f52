import threading
import time

import pytest

from datacat.client.heartbeat import HeartbeatMonitor, HeartbeatWatch, Hung, Recovered
from datacat.testing import FakeClock, capturing_session


def walk(watch, clock, checks):
    return [found for _ in range(checks) if (clock.advance(5), found := watch.check(clock.monotonic()))[1]]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def watch(clock):
    return HeartbeatWatch(clock.monotonic(), timeout=60, check_interval=5)


def test_the_clock_starts_with_the_monitor_and_a_hang_is_told_once(watch, clock):
    assert walk(watch, clock, 12) == []
    assert walk(watch, clock, 50) == [Hung(65.0)]


def test_the_next_heartbeat_is_the_recovery(watch, clock):
    walk(watch, clock, 20)
    watch.last_beat = clock.monotonic()
    assert walk(watch, clock, 1) == [Recovered(100.0)]
    assert walk(watch, clock, 12) == [Hung(65.0)]


def test_beats_in_time_are_no_hang(watch, clock):
    for _ in range(50):
        watch.last_beat = clock.monotonic()
        assert walk(watch, clock, 1) == []


def test_a_machine_that_slept_did_not_hang(watch, clock):
    walk(watch, clock, 2)
    clock.advance(3600)
    assert watch.check(clock.monotonic()) is None
    assert walk(watch, clock, 9) == []
    assert len(walk(watch, clock, 5)) == 1


def test_a_pause_is_no_hang_and_the_clock_starts_anew_after_it(watch, clock):
    watch.pause()
    assert walk(watch, clock, 100) == []
    watch.resume(clock.monotonic())
    assert walk(watch, clock, 12) == []
    assert len(walk(watch, clock, 1)) == 1


def test_a_hang_is_recorded_with_the_stack_of_every_thread(clock):
    told = []
    beats = []
    monitor = HeartbeatMonitor(
        "main",
        timeout=10,
        check_interval=5,
        clock=clock,
        log_event=lambda *args, **more: told.append((*args, more)),
        log_heartbeat=lambda: beats.append(clock.monotonic()),
    )
    stuck, release = threading.Event(), threading.Event()

    def stuck_here():
        stuck.set()
        release.wait()

    thread = threading.Thread(target=stuck_here, name="stuck")
    thread.start()
    stuck.wait()
    for _ in range(3):
        clock.advance(5)
        monitor.check()
    release.set()
    thread.join()
    ((name, data, more),) = told
    assert (name, more) == ("application_appears_hung", {"level": "error"})
    assert (data["seconds_since_heartbeat"], data["timeout"], data["monitor"]) == (15, 10, "main")
    functions = {
        stack["thread"]: [frame["function"] for frame in stack["frames"]] for stack in data["stacks"]
    }
    assert any("stuck_here" in function for function in functions["stuck"])
    assert "MainThread" in functions
    assert not beats
    monitor.watch.last_beat = clock.monotonic()
    clock.advance(5)
    monitor.check()
    assert told[-1][0] == "application_recovered"
    assert len(beats) == 1


def test_several_monitors_are_watched_by_name():
    with capturing_session() as (session, sent):
        session.start_heartbeat_monitor(0.05, 0.01, name="ui")
        session.start_heartbeat_monitor(60, 0.01, name="db")
        while not sent.of("event"):
            time.sleep(0.01)
            session.flush()
        session.heartbeat("ui")
    assert {each["data"]["monitor"] for each in sent.of("event")} == {"ui"}


def test_stopping_and_an_unknown_name_are_harmless():
    with capturing_session() as (session, _):
        session.heartbeat("nobody")
        session.stop_heartbeat_monitor()
        session.start_heartbeat_monitor(60)
        session.end()
        assert not session._monitors
