import asyncio
import threading
import time
from contextlib import contextmanager
from typing import Any

import pytest
from tests.contract.model_store import ModelStore

from datacat.ingest.batcher import Batcher
from datacat.ingest.committer import Committer, commit
from datacat.model.errors import Busy, StoreUnavailable, UnknownSession
from datacat.model.records import Answer, Batch, Event, Origin, Start
from datacat.testing import FakeClock

ID = "01934f5e-0000-7000-8000-000000000001"


def start(session_id=ID):
    return Batch(session_id, Origin.API, [Start(time=1)])


def event(session_id=ID):
    return Batch(session_id, Origin.API, [Event(time=1, name="e")])


class SlowStore(ModelStore):
    """Commits when it is let to."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()
        self.begun = threading.Event()
        self.commits = 0

    @contextmanager
    def transaction(self):
        self.begun.set()
        assert self.go.wait(60)
        self.commits += 1
        with super().transaction() as transaction:
            yield transaction


def test_what_waits_for_one_commit_rides_the_next_together():
    store = SlowStore()

    async def run():
        committer = Committer(lambda: store, FakeClock())
        await committer.start()
        first = asyncio.create_task(committer.submit(start(), size=1))
        await asyncio.to_thread(store.begun.wait, 60)
        others = [asyncio.create_task(committer.submit(event(), size=1)) for _ in range(50)]
        await asyncio.sleep(0)
        assert not first.done()
        store.go.set()
        answers = await asyncio.gather(first, *others)
        await committer.stop()
        return answers

    answers = asyncio.run(run())
    assert [answer.last_seq for answer in answers] == list(range(1, 52))
    assert store.commits == 2


class Patient(Batcher[Any]):
    """Waits for what is expected however long it takes."""

    def pause(self, now):
        return 60.0 if super().pause(float("-inf")) else 0.0


def test_who_has_just_been_answered_is_waited_for():
    store, groups = SlowStore(), []

    async def run():
        committer = Committer(
            lambda: store, FakeClock(), Patient(), committed=lambda folds: groups.append(len(folds))
        )
        await committer.start()
        first = asyncio.create_task(committer.submit(start(), size=1))
        await asyncio.to_thread(store.begun.wait, 60)
        others = [asyncio.create_task(committer.submit(event(), size=1)) for _ in range(2)]
        await asyncio.sleep(0)
        store.go.set()
        await first
        assert not any(other.done() for other in others)
        await asyncio.gather(committer.submit(event(), size=1), *others)
        await committer.stop()

    asyncio.run(run())
    assert groups == [1, 3]


def test_while_more_is_waited_for_other_work_is_done_and_a_stop_waits_no_longer():
    async def run():
        store = ModelStore()
        committer = Committer(lambda: store, FakeClock(), Patient())
        await committer.start()
        await asyncio.gather(*(committer.submit(start(f"{ID[:-1]}{n}"), size=1) for n in range(3)))
        waiting = asyncio.create_task(committer.submit(event(), size=1))
        await asyncio.sleep(0)
        assert await committer.run(lambda writer: writer is store)
        assert not waiting.done()
        await committer.stop()
        assert await waiting == Answer(1, 0, 2)

    asyncio.run(run())


class Watched(Batcher[Any]):
    """Knows whether it made anybody wait."""

    waited = False

    def pause(self, now):
        self.waited = self.waited or super().pause(float("-inf")) > 0
        return super().pause(now)


class Slow(Committer):
    """Loses its turn behind each answer, so that whoever was answered is back before it goes on."""

    def _count(self, committed, seconds):
        time.sleep(0.005)
        super()._count(committed, seconds)


def test_who_sends_alone_is_never_made_to_wait_for_others():
    batcher = Watched()

    async def run():
        committer = Slow(ModelStore, FakeClock(), batcher)
        await committer.start()
        await committer.submit(start(), size=1)
        for _ in range(10):
            await committer.submit(event(), size=1)
        await committer.stop()

    asyncio.run(run())
    assert not batcher.waited


def test_a_full_queue_is_busy_and_what_was_accepted_is_committed_at_the_stop():
    store = SlowStore()

    async def run():
        committer = Committer(lambda: store, FakeClock(), Batcher(max_waiting_records=2))
        await committer.start()
        tasks = [asyncio.create_task(committer.submit(start(), size=1))]
        await asyncio.to_thread(store.begun.wait, 60)
        tasks += [asyncio.create_task(committer.submit(event(), size=1)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy) as caught:
            await committer.submit(event(), size=1)
        assert caught.value.retry_after >= 1
        store.go.set()
        await committer.stop()
        with pytest.raises(Busy, match="stopping"):
            await committer.submit(event(), size=1)
        return await asyncio.gather(*tasks)

    assert len(asyncio.run(run())) == 3
    assert store.known[ID].events == 2


def test_what_was_committed_is_told_after_the_answers_and_what_was_not_is_never_told():
    order: list[object] = []

    def tell(folds):
        order.extend((each.session.id, each.before is None, len(each.events)) for each in folds)

    async def send(committer, batch):
        try:
            await committer.submit(batch, size=1)
        except UnknownSession:
            order.append("refused")
        else:
            order.append("answered")

    async def run():
        committer = Committer(ModelStore, FakeClock(), committed=tell)
        await committer.start()
        for batch in (start(), event(), event(ID[:-1] + "2")):
            await send(committer, batch)
        await committer.stop()
        await asyncio.sleep(0)

    asyncio.run(run())
    assert order == ["answered", (ID, True, 0), "answered", (ID, False, 1), "refused"]


def test_a_batch_that_cannot_be_folded_harms_no_other():
    outcomes = commit(ModelStore(), [start(), event(ID[:-1] + "2"), event()], 1).outcomes
    assert [type(outcome) for outcome in outcomes] == [Answer, UnknownSession, Answer]


def test_a_batch_that_nobody_foresaw_harms_no_other():
    class Poisoned(ModelStore):
        def save(self, folds):
            folds = list(folds)
            if any(each.name == "poison" for fold in folds for each in fold.events):
                raise RuntimeError("poison")
            super().save(folds)

    store = Poisoned()
    poison = Batch(ID, Origin.API, [Event(time=1, name="poison")])
    outcomes = commit(store, [start(), poison, event()], 1).outcomes
    assert [type(outcome) for outcome in outcomes] == [Answer, RuntimeError, Answer]
    assert store.known[ID].events == 1


def test_a_store_that_cannot_write_answers_everybody_so_and_keeps_nothing():
    class Full(ModelStore):
        def save(self, folds):
            super().save(folds)
            raise StoreUnavailable("disk full")

    store = Full()
    assert [type(each) for each in commit(store, [start(), event()], 1).outcomes] == [StoreUnavailable] * 2
    assert store.known == {}


def test_a_store_that_cannot_be_opened_is_told_at_the_start():
    def fail():
        raise StoreUnavailable("locked")

    with pytest.raises(StoreUnavailable, match="locked"):
        asyncio.run(Committer(fail, FakeClock()).start())
