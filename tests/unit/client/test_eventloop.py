"""What an event loop that is watched goes on without."""

import asyncio
import gc
import sys
import threading

import pytest

from datacat.client.eventloop import EventLoop, tasks_in
from datacat.testing import capturing_session


async def fail():
    raise ValueError("bad row 7")


async def with_a_task_that_nobody_asks_for(session, starts=1):
    for _ in range(starts):
        session.start_asyncio_monitor(60)
    task = asyncio.create_task(fail(), name="reader")
    await asyncio.wait([task])
    del task
    gc.collect()


@pytest.mark.parametrize("starts", [1, 2])
def test_an_exception_of_a_task_that_nobody_asks_for_is_recorded_once_and_told_as_before(caplog, starts):
    with capturing_session() as (session, sent):
        asyncio.run(with_a_task_that_nobody_asks_for(session, starts))
    (event,) = sent.of("event")
    data = event["data"]
    assert (event["name"], event["level"], event["message"]) == ("uncaught_exception", "error", "bad row 7")
    assert (data["type"], data["task"]) == ("ValueError", "reader")
    assert "in fail" in data["traceback"]
    assert [record.name for record in caplog.records] == ["asyncio"]


def test_an_exception_of_a_callback_is_recorded():
    async def main():
        session.start_asyncio_monitor(60)
        asyncio.get_running_loop().call_soon(int, "seven")
        await asyncio.sleep(0)

    with capturing_session() as (session, sent):
        asyncio.run(main())
    (event,) = sent.of("event")
    assert event["data"]["task"].startswith("Exception in callback")


def test_the_programs_own_handler_has_it_too():
    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        await with_a_task_that_nobody_asks_for(session)

    told: list[BaseException] = []
    with capturing_session() as (session, sent):
        asyncio.run(main())
    assert [type(each) for each in told] == [ValueError]
    assert len(sent.of("event")) == 1


def test_it_is_told_however_many_sessions_one_loop_has_seen():
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        monitor = EventLoop()
        for _ in range(2 * sys.getrecursionlimit()):
            monitor.hear(lambda error, _: late.append(error), lambda: False)
        monitor.hear(lambda error, _: heard.append(error), lambda: True)
        loop.call_soon(int, "seven")
        await asyncio.sleep(0)

    told: list[BaseException] = []
    late: list[BaseException] = []
    heard: list[BaseException] = []
    asyncio.run(main())
    assert (len(told), len(late), len(heard)) == (1, 0, 1)


def test_what_is_said_without_an_exception_is_no_exception():
    async def main():
        session.start_asyncio_monitor(60)
        asyncio.get_running_loop().call_exception_handler({"message": "a socket was left open"})

    with capturing_session() as (session, sent):
        asyncio.run(main())
    assert sent.of("event") == []


@pytest.mark.parametrize("options", [{"capture_exceptions": False}, {"DATACAT_DISABLED": "1"}])
def test_where_no_exceptions_are_captured_the_loop_is_left_as_it_is(monkeypatch, options):
    async def main():
        session.start_asyncio_monitor(60)
        return asyncio.get_running_loop().get_exception_handler()

    for name in [each for each in options if each.isupper()]:
        monkeypatch.setenv(name, options.pop(name))
    with capturing_session(**options) as (session, _):
        assert asyncio.run(main()) is None


async def by_name(inner):
    await inner


async def gathered(inner):
    await asyncio.gather(inner, asyncio.sleep(60))


async def waited_for(inner):
    await asyncio.wait([inner])


async def in_a_group(inner):
    async with asyncio.TaskGroup() as group:
        group.create_task(by_name(inner), name="member")


@pytest.mark.parametrize("outer", [by_name, gathered, waited_for, in_a_group])
def test_a_task_that_waits_for_others_is_told_from_one_that_waits_itself(outer):
    async def main():
        inner = asyncio.create_task(asyncio.sleep(60), name="inner")
        waiting = asyncio.create_task(outer(inner), name="outer")
        await asyncio.sleep(0.01)
        told = {each["task"]: each for each in tasks_in(threading.get_ident())["asyncio"]["pending"]}
        waiting.cancel()
        inner.cancel()
        return told

    told = asyncio.run(main())
    assert told["outer"]["for_tasks"] is True
    assert "for_tasks" not in told["inner"]
    assert told.get("member", {}).get("for_tasks", True) is True
