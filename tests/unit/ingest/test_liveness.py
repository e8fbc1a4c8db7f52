import asyncio

import pytest
from tests.contract.model_store import ModelStore

from datacat.ingest.committer import Committer, commit
from datacat.ingest.liveness import Listening, Liveness
from datacat.model.errors import StoreUnavailable
from datacat.model.lifecycle import Status
from datacat.model.records import Batch, Origin, Start
from datacat.testing import FakeClock

ID = "01934f5e-0000-7000-8000-000000000001"
SECOND = 1_000_000


def test_listening_goes_on_while_the_clocks_agree():
    listening = Listening(0, 100.0)
    assert [listening.look(n * SECOND, 100.0 + n) for n in range(1, 5)] == [0] * 4


@pytest.mark.parametrize(
    ("now", "monotonic"),
    [
        (3600 * SECOND, 101.0),  # the machine slept, or the clock was set forward
        (-3600 * SECOND, 101.0),  # the clock was set back
        (60 * SECOND, 160.0),  # the server stood still
    ],
)
def test_listening_begins_anew_after_a_break(now, monotonic):
    listening = Listening(0, 100.0)
    assert listening.look(now, monotonic) == now
    assert listening.look(now + SECOND, monotonic + 1) == now


class Watched:
    """A store with one session that promised 5 s, a committer and a clock."""

    def __init__(self):
        self.clock = FakeClock()
        self.store = ModelStore()
        commit(
            self.store, [Batch(ID, Origin.APP, [Start(seq=1, time=1, contact_timeout=5.0)])], self.clock.now()
        )

    def run(self, steps):
        async def inner():
            committer = Committer(lambda: self.store, self.clock)
            await committer.start()
            await steps(Liveness(committer, self.store, self.clock), committer)
            await committer.stop()

        asyncio.run(inner())

    @property
    def session(self):
        return self.store.known[ID]


def test_a_session_that_breaks_its_promise_is_lost_once_and_active_when_it_speaks():
    watched = Watched()

    async def steps(liveness, committer):
        found = []
        for _ in range(10):
            watched.clock.advance(1)
            found.append(await liveness.check())
        assert found == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
        assert watched.session.status is Status.LOST
        await committer.submit(Batch(ID, Origin.APP, []), size=0)

    watched.run(steps)
    assert watched.session.status is Status.ACTIVE
    (event,) = watched.store.events(ID, 0, 9)
    assert (event.name, bytes(event.data)) == ("contact_lost", b'{"silent_seconds":6.0,"promised":5.0}')


def test_time_in_which_the_server_did_not_listen_is_not_counted():
    watched = Watched()

    async def steps(liveness, _):
        watched.clock.advance(60)
        for _ in range(5):
            assert await liveness.check() == 0
            watched.clock.advance(1)
        watched.clock.advance(1)
        assert await liveness.check() == 1

    watched.run(steps)


def test_looking_goes_on_after_a_failure():
    watched = Watched()
    looks = []

    class Failing(ModelStore):
        def overdue(self, now, listening_since, limit):
            looks.append(now)
            raise StoreUnavailable("locked")

    async def inner():
        committer = Committer(ModelStore, watched.clock)

        async def sleep(seconds):
            watched.clock.advance(seconds)
            await asyncio.sleep(0)

        async with Liveness(committer, Failing(), watched.clock, sleep).running():
            while len(looks) < 3:  # noqa: ASYNC110  # the loop is what is waited for
                await asyncio.sleep(0.001)

    asyncio.run(inner())
    assert looks == sorted(looks)


def test_a_session_heard_of_before_the_clock_was_set_back_is_lost_after_the_time_that_it_promised():
    watched = Watched()
    watched.clock.set_back(3600)

    async def steps(liveness, committer):
        found = []
        for _ in range(8):
            watched.clock.advance(1)
            found.append(await liveness.check())
        assert found == [0, 0, 0, 0, 0, 1, 0, 0]
        assert watched.session.status is Status.LOST
        await committer.submit(Batch(ID, Origin.APP, []), size=0)
        watched.clock.advance(6)
        assert await liveness.check() == 0, "the look was late"
        for _ in range(6):
            watched.clock.advance(1)
            found.append(await liveness.check())
        assert found[-6:] == [0, 0, 0, 0, 0, 1]

    watched.run(steps)
    events = [bytes(event.data) for event in watched.store.events(ID, 0, 9)]
    assert events == [
        b'{"silent_seconds":6.0,"promised":5.0}',
        b'{"silent_seconds":12.0,"promised":5.0}',
    ]
    lost = watched.store.problems_of(ID, evidence=False)
    assert [problem.started_at <= watched.clock.now() for problem in lost] == [True, True]


def test_a_session_that_speaks_after_the_clock_was_set_back_is_not_lost():
    watched = Watched()

    async def steps(liveness, committer):
        watched.clock.set_back(3600)
        for _ in range(20):
            watched.clock.advance(1)
            await committer.submit(Batch(ID, Origin.APP, []), size=0)
            assert await liveness.check() == 0

    watched.run(steps)
    assert watched.session.times_lost == 0
