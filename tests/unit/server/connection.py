"""One connection of the fast lane without a socket: what it brings, and what is answered to it."""

import asyncio
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from datacat.api.requests import Requests
from datacat.ingest.door import Door
from datacat.ingest.throttle import Throttle
from datacat.model.errors import Busy, KeyRefused
from datacat.model.keys import Grant
from datacat.model.records import Answer
from datacat.server.fastlane import FastLane
from datacat.server.runs import Lane
from datacat.testing import FakeClock

ID = b"01934f5e-0000-7000-8000-0000000000ff"
OTHER_ID = b"01934f5e-0000-7000-8000-0000000000fe"
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
ORDINARY = b"ordinary"
OK = Answer(1, 0, 1)


def call(action, body, session_id=ID):
    head = b"POST /api/sessions/%b/%b HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    return head % (session_id, action, len(body)) + body


def post(name=b"e", session_id=ID):
    return call(b"events", b'{"name":"%b"}' % name, session_id)


def with_key(key, name=b"e"):
    return post(name).replace(b"\r\nContent-Length", b"\r\nAuthorization: %b\r\nContent-Length" % key)


STATE = call(b"state", b'{"a":1}')


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.written = []
        self.closed = self.aborted = False
        self.reading = True

    def write(self, data):
        self.written.append(bytes(data))

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def bodies(self):
        return [each.partition(b"\r\n\r\n")[2] for each in self.written if b"\r\n\r\n" in each]


class Ingest:
    """Takes everything, and answers when it is told to."""

    def __init__(self):
        self.batches = []
        self.requests = []
        self.waiting = []
        self.busy = False

    def offer(self, batch, size, answered, *, requests=1):
        if self.busy:
            raise Busy("full")
        self.batches.append(batch)
        self.requests.append(requests)
        self.waiting.append(answered)

    def answer(self, outcome=OK, count=None):
        now = self.waiting[:count]
        self.waiting = self.waiting[len(now) :]
        for answered in now:
            answered(outcome)

    @property
    def names(self):
        return [record.name for batch in self.batches for record in batch.records]


class Connection:
    """A lane in front of an application that reads the body and says that it was there."""

    def __init__(self, shared=None):
        self.ingest = Ingest()
        self.transport = Transport()
        self.requests = []
        self.state = ServerState()
        config = uvicorn.Config(self.app, interface="asgi3", log_config=None, access_log=False)
        clock = FakeClock()
        self.asked: list[str | None] = []
        ingest: Any = self.ingest  # as much of a committer as a lane needs

        def admit(authorization):
            self.asked.append(authorization)
            if authorization == "Bearer bad":
                raise KeyRefused("key_unknown", "bad")
            return Door(ingest, Grant(), Throttle(), clock)

        self.shared = shared or Lane(admit, Requests(), clock)
        self.lane = FastLane(self.shared, config=config, server_state=self.state, app_state={})
        self.lane.connection_made(self.transport)

    def another(self):
        """Another connection of the same service."""
        return Connection(self.shared)

    async def app(self, scope, receive, send):
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.requests.append((scope["method"], body))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
        await send({"type": "http.response.body", "body": ORDINARY})

    async def receive(self, *pieces):
        for piece in pieces:
            self.lane.data_received(piece)
            await self.settle()

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)

    @property
    def answers(self):
        """Which road gave each answer."""
        whole = b"".join(self.transport.written)
        marks = [
            (whole.find(mark, start), name)
            for name, mark in (("lane", b'{"status":"ok"}'), ("ordinary", ORDINARY), ("problem", b'"code"'))
            for start in [at for at in range(len(whole)) if whole.startswith(mark, at)]
        ]
        return [name for _, name in sorted(marks)]


def connected(test):
    """A test in an event loop, with a connection of its own."""

    def run():
        async def inside():
            await test(Connection())

        asyncio.run(inside())

    run.__name__ = test.__name__
    return run
