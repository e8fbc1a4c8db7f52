import asyncio
import selectors
import socket
import threading
import time
from contextlib import contextmanager
from typing import Any

import pytest

from datacat.client import pulse
from datacat.client.heartbeat import HeartbeatMonitor
from datacat.client.pulse import Pulse
from datacat.testing import FakeClock, capturing_session


@pytest.fixture
def clock():
    return FakeClock()


class Watched:
    """A monitor that is asked by hand, and what it told."""

    def __init__(self, clock, **more):
        self.clock = clock
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.beats = 0
        self.monitor = HeartbeatMonitor(
            "main",
            Pulse(shared=False).slot("main", clock.monotonic(), timeout=10, check_interval=5),
            clock=clock,
            log_event=lambda name, data, level: self.told.append((name, level, data)),
            log_heartbeat=self._beaten,
            **more,
        )

    def _beaten(self):
        self.beats += 1

    def beat(self):
        self.monitor.slot[pulse.LAST_BEAT] = self.clock.monotonic()

    def watch(self, thread):
        self.monitor.slot[pulse.THREAD] = thread.ident

    def checks(self, number):
        for _ in range(number):
            self.clock.advance(5)
            self.monitor.check()


@contextmanager
def running(target, name="stuck"):
    """A thread in ``target(started, stop)``."""
    started, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=target, args=(started, stop), name=name)
    thread.start()
    started.wait()
    try:
        yield thread
    finally:
        stop.set()
        thread.join()


def stuck_here(started, stop):
    started.set()
    stop.wait()


def turning_here(started, stop):
    started.set()
    while not stop.is_set():
        pass


def test_a_hang_is_recorded_with_the_stack_of_every_thread_the_silent_one_first(clock):
    watched = Watched(clock)
    with running(stuck_here) as thread:
        watched.watch(thread)
        watched.checks(3)
    ((name, level, data),) = watched.told
    assert (name, level) == ("application_appears_hung", "error")
    assert (data["seconds_since_heartbeat"], data["timeout"], data["monitor"]) == (15, 10, "main")
    assert data["thread"] == "stuck"
    assert [stack["thread"] for stack in data["stacks"]][:2] == ["stuck", "MainThread"]
    assert "stuck_here" in [frame["function"] for frame in data["stacks"][0]["frames"]]
    assert not watched.beats
    watched.beat()
    watched.checks(1)
    assert watched.told[-1][0] == "application_recovered"
    assert watched.beats > 0


@pytest.mark.parametrize(("where", "kind"), [(stuck_here, "blocked"), (turning_here, "spinning")])
def test_a_thread_that_waits_is_told_from_one_that_works(clock, where, kind):
    watched = Watched(clock)
    with running(where) as thread:
        watched.watch(thread)
        watched.checks(2)
        for _ in range(4):
            watched.monitor.sample()
            time.sleep(0.02)  # the processor's own time passes
            clock.advance(0.02)
        watched.checks(1)
    ((_, _, data),) = watched.told
    assert data["kind"] == kind
    assert len(data["samples"]) == 5
    assert all(where.__name__ in str(sample["frames"]) for sample in data["samples"])


def test_a_recovery_since_the_last_look_is_told_when_the_watch_ends(clock):
    watched = Watched(clock)
    watched.checks(3)
    watched.beat()
    watched.monitor.stop()
    assert [name for name, _, _ in watched.told] == ["application_appears_hung", "application_recovered"]
    watched.monitor.stop()
    watched.checks(9)
    assert len(watched.told) == 2


def test_the_end_of_a_watch_waits_for_no_look_that_is_under_way_and_that_one_tells_the_recovery(clock):
    """A signal handler may end the session in the middle of a record, on which that look waits."""
    watched = Watched(clock)
    watched.checks(3)
    looking, go_on = threading.Event(), threading.Event()

    def look():
        looking.set()
        go_on.wait(20)
        return True

    watched.monitor._runs = look
    thread = threading.Thread(target=watched.monitor.check)
    thread.start()
    assert looking.wait(20)
    watched.monitor.stop()
    watched.beat()
    go_on.set()
    thread.join(20)
    assert [name for name, _, _ in watched.told] == ["application_appears_hung", "application_recovered"]


def test_a_hang_is_not_over_because_the_watch_is(clock):
    watched = Watched(clock)
    watched.checks(3)
    watched.monitor.stop()
    assert [name for name, _, _ in watched.told] == ["application_appears_hung"]


def test_what_is_watched_and_does_not_run_does_not_hang(clock):
    watched = Watched(clock, runs=lambda: False)
    watched.checks(100)
    assert not watched.told


def test_who_stands_in_a_debugger_does_not_hang(clock):
    watched = Watched(clock)
    source = compile(
        "def prompt(started, stop):\n    started.set()\n    stop.wait()\n", "/usr/lib/pdb.py", "exec"
    )
    names: dict[str, object] = {}
    exec(source, names)
    with running(names["prompt"]) as thread:
        watched.watch(thread)
        for _ in range(100):
            watched.monitor.sample()
            watched.checks(1)
    assert not watched.told


def test_a_pause_is_seen_from_outside_too(clock):
    watched = Watched(clock)
    watched.monitor.pause()
    assert watched.monitor.slot[pulse.STATE] == pulse.PAUSED
    watched.checks(100)
    watched.monitor.resume()
    assert watched.monitor.slot[pulse.STATE] == pulse.WATCHED
    watched.monitor.stop()
    assert watched.monitor.slot[pulse.STATE] == pulse.FREE
    assert not watched.told


def test_several_monitors_are_watched_by_name():
    with capturing_session() as (session, sent):
        session.start_heartbeat_monitor(0.05, 0.01, name="ui")
        session.start_heartbeat_monitor(60, 0.01, name="db")
        while not sent.of("event"):
            time.sleep(0.01)
            session.flush()
        session.heartbeat("ui")
    assert {each["data"]["monitor"] for each in sent.of("event")} == {"ui"}


def hung(session, sent, name="main"):
    session.start_heartbeat_monitor(0.05, 0.01, name=name)
    while not sent.of("event"):
        time.sleep(0.01)
        session.flush()


def recoveries(session, sent):
    session.flush()
    return [each["data"]["monitor"] for each in sent.of("event") if each["name"] == "application_recovered"]


def test_who_starts_a_monitor_anew_or_stops_the_watch_on_itself_is_alive():
    with capturing_session() as (session, sent):
        hung(session, sent)
        session.start_heartbeat_monitor(60)
        assert recoveries(session, sent) == ["main"]
    with capturing_session() as (session, sent):
        hung(session, sent)
        session.stop_heartbeat_monitor()
        assert recoveries(session, sent) == ["main"]


def test_who_stops_the_watch_on_another_or_ends_the_session_says_nothing_of_it():
    with capturing_session() as (session, sent):
        hung(session, sent)
        stopping = threading.Thread(target=session.stop_heartbeat_monitor)
        stopping.start()
        stopping.join()
        assert recoveries(session, sent) == []
    with capturing_session() as (session, sent):
        hung(session, sent)
        session.end()
        assert recoveries(session, sent) == []


def test_for_a_thread_that_has_ended_no_other_is_to_blame(clock):
    watched = Watched(clock)
    with running(stuck_here) as thread:
        watched.watch(thread)
        watched.checks(1)
    watched.checks(2)
    ((_, _, data),) = watched.told
    assert (data["thread"], data["thread_ended"], data["kind"]) == ("", True, "unknown")


def test_from_the_beginning_the_thread_that_is_watched_is_known_to_the_system(clock):
    def watch(started, stop):
        natives.append((threading.get_native_id(), Watched(clock).monitor.slot[pulse.NATIVE_THREAD]))
        started.set()
        stop.wait()

    natives: list[tuple[int, float]] = []
    with running(watch):
        ((really, said),) = natives
    assert said == really


def test_an_event_loop_that_is_watched_anew_is_watched_alone(monkeypatch):
    async def turn():
        session.start_asyncio_monitor(60, 0.01)
        await asyncio.sleep(0.05)

    with capturing_session() as (session, _):
        for _ in range(3):
            asyncio.run(turn())
        beats: list[str] = []
        monkeypatch.setattr(session, "heartbeat", beats.append)
        loops = [asyncio.new_event_loop() for _ in range(2)]
        for loop in loops:
            loop.run_until_complete(turn())
        beats.clear()
        loops[0].run_until_complete(asyncio.sleep(0.05))
        assert beats == []
        loops[1].run_until_complete(asyncio.sleep(0.05))
        assert beats
        for loop in loops:
            loop.close()


def test_stopping_and_an_unknown_name_are_harmless():
    with capturing_session() as (session, _):
        session.heartbeat("nobody")
        session.stop_heartbeat_monitor()
        session.start_heartbeat_monitor(60)
        session.end()
        assert not session._slots


def test_an_event_loop_that_stands_is_a_hang_told_with_its_tasks():
    with capturing_session() as (session, sent):

        async def waiting():
            await asyncio.sleep(60)

        async def main():
            session.start_asyncio_monitor(0.2, 0.05)
            others = asyncio.create_task(waiting(), name="other")
            await asyncio.sleep(0.5)
            assert not sent.of("event")
            time.sleep(0.6)  # noqa: ASYNC251  # standing is the point
            others.cancel()
            await asyncio.sleep(0.2)

        asyncio.run(main())
        session.flush()
        hung, recovered = [each for each in sent.of("event") if each["name"].startswith("application")]
    assert hung["data"]["monitor"] == "asyncio"
    assert hung["data"]["kind"] == "blocked"
    assert "main" in hung["data"]["stacks"][0]["frames"][-1]["function"]
    (pending,) = hung["data"]["asyncio"]["pending"]
    assert pending["task"] == "other"
    assert pending["function"].endswith("waiting")
    assert hung["data"]["asyncio"]["idle"] is False
    assert recovered["name"] == "application_recovered"


def test_a_task_that_waits_for_ever_is_told_with_what_it_awaits_though_its_loop_is_idle():
    with capturing_session() as (session, sent):

        async def reply(answer):
            await answer

        async def worker(answer):
            session.start_heartbeat_monitor(0.2, 0.05)
            await reply(answer)

        async def main():
            answer = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(worker(answer), name="worker")
            await asyncio.sleep(1)
            answer.set_result(None)
            await task

        asyncio.run(main())
        session.flush()
        (hung,) = [each["data"] for each in sent.of("event") if each["name"] == "application_appears_hung"]
    loop = hung["asyncio"]
    assert (loop["running"], loop["idle"], loop["tasks"]) == (None, True, 2)
    (task,) = [each for each in loop["pending"] if each["task"] == "worker"]
    assert [frame["code"] for frame in task["frames"]] == ["await reply(answer)", "await answer"]


def test_an_event_loop_that_waits_in_what_it_called_is_not_idle():
    with capturing_session() as (session, sent):
        read, write = socket.socketpair()

        def called():
            with selectors.DefaultSelector() as selector:
                selector.register(read, selectors.EVENT_READ)
                selector.select(0.8)

        async def main():
            session.start_heartbeat_monitor(0.2, 0.05)
            asyncio.get_running_loop().call_soon(called)
            await asyncio.sleep(0)

        with read, write:
            asyncio.run(main())
        session.flush()
        (hung,) = [each["data"] for each in sent.of("event") if each["name"] == "application_appears_hung"]
    assert hung["asyncio"]["idle"] is False


def test_an_event_loop_without_frames_is_described_while_its_runner_closes():
    uvloop = pytest.importorskip("uvloop")
    with capturing_session() as (session, sent):

        async def main():
            session.start_heartbeat_monitor(0.2, 0.05)
            asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.8)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
        session.flush()
        (hung,) = [each["data"] for each in sent.of("event") if each["name"] == "application_appears_hung"]
    assert hung["asyncio"]["idle"] is True


def test_an_event_loop_that_has_ended_does_not_hang():
    with capturing_session() as (session, sent):

        async def main():
            session.start_asyncio_monitor(0.05, 0.01)

        asyncio.run(main())
        time.sleep(0.2)
        session.flush()
        assert not sent.of("event")
