"""What is removed, and when: a real database, a clock of the test's own."""

import asyncio
from typing import Any

import pytest

from datacat.ingest.committer import Committer
from datacat.ingest.janitor import Janitor
from datacat.ingest.liveness import Liveness
from datacat.model.ids import new_session_id
from datacat.model.records import Batch, End, Event, Origin, Record, Rejected, Start
from datacat.model.retention import Retention
from datacat.store.asked import Scope
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter
from datacat.testing import FakeClock

DAY = 86_400.0


async def no_rest(_):
    await asyncio.sleep(0)


class Kept:
    """A committer, a janitor and what they work on."""

    def __init__(self, path, retention):
        self.clock = FakeClock()
        self.committer = Committer(lambda: SqliteWriter(path, durability="normal"), self.clock)
        self.path = path
        self.retention = retention

    async def __aenter__(self):
        await self.committer.start()
        self.reader = SqliteReader(self.path, connections=2)
        self.janitor = Janitor(self.committer, self.reader, self.clock, self.retention, no_rest)
        return self

    async def __aexit__(self, *_):
        self.reader.close()
        await self.committer.stop()

    async def add(self, product=None, *, ended=True, events=0, promised=None):
        session_id, now = new_session_id(), self.clock.now()
        records: list[Record | Rejected] = [Start(time=now, product=product, contact_timeout=promised)]
        records += [Event(time=now, name="e", message="m" * 200) for _ in range(events)]
        if ended:
            records.append(End(time=now))
        await self.committer.submit(Batch(session_id, Origin.API, records), size=1)
        return session_id

    def left(self):
        return {session.id for session in self.reader.newest_sessions(Scope(), frozenset(), 99)}


@pytest.fixture
def kept(tmp_path):
    return lambda **retention: Kept(tmp_path / "datacat.db", Retention(**retention))


def test_a_clock_that_is_set_years_forward_removes_nothing_before_it_has_stayed_so_for_a_day(kept, caplog):
    async def run():
        async with kept(others=10 * 86_400) as of:
            session = await of.add()
            of.clock.set_back(-5 * 365 * DAY)
            await of.janitor.look()
            of.clock.advance(DAY / 2)
            await of.janitor.look()
            assert of.left() == {session}
            of.clock.set_back(5 * 365 * DAY)
            await of.janitor.look()
            of.clock.set_back(-5 * 365 * DAY)
            await of.janitor.look()
            of.clock.advance(DAY - 1)
            await of.janitor.look()
            assert of.left() == {session}
            of.clock.advance(2)
            await of.janitor.look()
            assert of.left() == set()

    asyncio.run(run())
    assert "went forward by 1825 days" in caplog.text


def test_a_session_whose_clock_was_years_ahead_goes_as_any_other(kept):
    async def run():
        async with kept(others=10 * 86_400) as of:
            ahead = Start(seq=1, time=of.clock.now() + 10 * 365 * 86_400 * 1_000_000)
            await of.committer.submit(Batch(new_session_id(), Origin.APP, [ahead]), size=1)
            of.clock.advance(9 * DAY)
            await of.janitor.look()
            assert len(of.left()) == 1
            of.clock.advance(2 * DAY)
            await of.janitor.look()
            assert of.left() == set()

    asyncio.run(run())


def test_a_session_goes_when_it_was_not_heard_of_for_as_long_as_it_is_kept(kept):
    async def run():
        async with kept(others=10 * 86_400, products={"editor": 30 * 86_400}) as of:
            game, editor, nameless = await of.add("game"), await of.add("editor"), await of.add()
            running = await of.add("game", ended=False)
            of.clock.advance(9 * DAY)
            await of.janitor.look()
            assert of.left() == {game, editor, nameless, running}
            await of.committer.submit(Batch(running, Origin.API, []), size=0)
            of.clock.advance(2 * DAY)
            await of.janitor.look()
            assert of.left() == {editor, running}
            of.clock.advance(30 * DAY)
            await of.janitor.look()
            assert of.left() == set()
            assert of.reader.size().removed == 0
            assert of.reader.size().removals == {"age": 4}

    asyncio.run(run())


def test_above_the_size_the_oldest_that_have_ended_go_and_no_more_of_them_than_must(kept):
    async def run():
        async with kept(most_bytes=1_000_000) as of:
            running = await of.add("game", ended=False, events=1_000)
            ended = []
            for _ in range(6):
                of.clock.advance(1.0)
                ended.append(await of.add("game", events=1_000))
            before = of.reader.size().used
            assert before > 1_000_000
            await of.janitor.look()
            assert of.reader.size().used <= 1_000_000
            gone = [each for each in ended if each not in of.left()]
            assert gone == ended[: len(gone)]
            assert 0 < len(gone) < 6
            assert running in of.left()
            per_session = (before - of.reader.size().used) / len(gone)
            assert of.reader.size().used + 1.5 * per_session > 1_000_000

    asyncio.run(run())


def test_a_session_that_runs_is_not_removed_for_want_of_room_and_that_is_told(kept, caplog):
    async def run():
        async with kept(most_bytes=1) as of:
            running = await of.add("game", ended=False)
            await of.janitor.look()
            await of.janitor.look()
            assert of.left() == {running}
            assert of.janitor.removed.cannot

    asyncio.run(run())
    assert sum("all its sessions run" in record.message for record in caplog.records) == 1


class Outrun:
    """A reader whose answer of what may go is overtaken by ``what``."""

    def __init__(self, reader, what):
        self._reader, self._what = reader, what
        self.size = reader.size

    def oldest_finished(self, limit):
        found = self._reader.oldest_finished(limit)
        self._what()
        return found


def test_a_lost_session_that_comes_back_as_it_is_about_to_go_for_want_of_room_stays(kept):
    async def run():
        async with kept(most_bytes=1) as of:
            loop, liveness = asyncio.get_running_loop(), Liveness(of.committer, of.reader, of.clock)
            session_id = await of.add("game", ended=False, promised=0.5)
            of.clock.advance(1.0)

            def come_back():
                heard = of.committer.submit(Batch(session_id, Origin.APP, []), size=0)
                asyncio.run_coroutine_threadsafe(heard, loop).result()

            assert await liveness.check() == 1
            assert of.reader.oldest_finished(9) == [session_id]
            reader: Any = Outrun(of.reader, come_back)
            await Janitor(of.committer, reader, of.clock, of.retention, no_rest).look()
            assert of.left() == {session_id}

    asyncio.run(run())


def test_without_a_retention_nothing_goes(kept):
    async def run():
        async with kept() as of:
            session_id = await of.add("game")
            of.clock.advance(10_000 * DAY)
            await of.janitor.look()
            assert of.left() == {session_id}

    asyncio.run(run())


def test_records_are_committed_between_two_steps(kept):
    async def run():
        async with kept(others=86_400) as of:
            for _ in range(20):
                await of.add("game", events=500)
            of.clock.advance(2 * DAY)
            looking = asyncio.create_task(of.janitor.look())
            committed = 0
            while not looking.done():
                await of.add("editor")
                committed += 1
            await looking
            assert committed >= 10

    asyncio.run(run())
