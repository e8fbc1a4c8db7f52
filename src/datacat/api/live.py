"""``/api/live`` and ``/api/sessions/{id}/live``: what is committed, as it is committed, as server-sent events.

What must hold: a reader that is gone, or that does not read, holds nothing for long; a stop waits for no stream.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import Annotated, Any, Final

from litestar import HttpMethod, Request, Response, get, route
from litestar.params import HeaderParameter, QueryParameter
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from datacat.api.dependencies import Listeners, LiveShare, ServerClock, Sessions
from datacat.api.gate import Gate
from datacat.api.openapi import STREAM, problems
from datacat.api.queries import AskedNames, one_of, several_of
from datacat.model.clock import Clock
from datacat.model.errors import DatacatError, UnknownSession
from datacat.query import sessions
from datacat.query.following import Following, parse_position
from datacat.query.gaps import REMOVED, STOPPING, TOO_SLOW, Cut
from datacat.query.live import Hub, Overtaken, Reader, Watch
from datacat.query.news import KINDS, LEVELS, Filter, Kind
from datacat.query.share import Share
from datacat.wire import sse
from datacat.wire.codec import encode

AnyRequest = Request[Any, Any, Any]

RETRY: Final = 1_000
"""Milliseconds after which a reader connects again."""

HEARTBEAT: Final = 15.0
"""Seconds without a message after which a sign of life is sent."""

PAUSE: Final = 0.1
"""Seconds between two pieces, so that many small commits are one piece; all readers of all sessions pause until the
same moment, so that it is one piece for all of them."""

SEND_TIMEOUT: Final = 30.0
"""Seconds in which a reader must take a piece."""

STOP_TIMEOUT: Final = 1.0
"""Seconds in which a reader must take the end of the stream when the service stops."""

HANG_UP: Final = "datacat.hang_up"
"""The server's own extension of the ASGI scope: closes the connection, whatever is still to be sent."""

_BY_DEFAULT: Final = frozenset(KINDS) - {"metric"}

_HEADERS: Final = {
    "Content-Type": sse.MEDIA_TYPE,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # a proxy that gathers pieces would hold them back
    "Connection": "close",
}
_RAW_HEADERS: Final = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]

_KINDS = "session, event, metric, state or problem; several with commas between."
LastId = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", description="The id of the last message that was received."),
]
LeastLevel = Annotated[
    str, QueryParameter(description="Of events: debug, info, warning, error or fatal, and what is worse.")
]


@get("/api/live", tags=["live"], sync_to_thread=False, responses={**STREAM, **problems(422, 503)})
def follow_all(
    request: AnyRequest,
    hub: Listeners,
    of: AskedNames,
    kind: Annotated[str | None, QueryParameter(description=f"{_KINDS} All but metric without it.")] = None,
    level: LeastLevel = "debug",
    last_id: LastId = None,
) -> Response[bytes]:
    """What happens in all sessions, as it is committed: server-sent events, from now on, or behind Last-Event-ID.

    When more comes at once than is told live, or an id is too old, a message `gap` says so.
    """
    wanted = Filter(
        kinds=_kinds(kind) or _BY_DEFAULT,
        least_level=_rank(level),
        product=of.product,
        version=of.version,
        environment=of.environment,
    )
    reader = hub.subscribe(wanted, last_id)
    return EventStream(Sender(hub, reader, _of_all(hub, reader), _key_of(request)))


@get("/api/sessions/{session_id:str}/live", tags=["live"], responses={**STREAM, **problems(404, 422, 503)})
async def follow_session(
    session_id: str,
    request: AnyRequest,
    hub: Listeners,
    share: LiveShare,
    reader: Sessions,
    clock: ServerClock,
    kind: Annotated[str | None, QueryParameter(description=f"{_KINDS} All without it.")] = None,
    level: LeastLevel = "debug",
    after: Annotated[
        str | None,
        QueryParameter(description="Where to go on: the id of a message; e0.m0.c0 for the beginning."),
    ] = None,
    last: Annotated[
        int,
        QueryParameter(
            ge=0, le=1_000, description="Of those that are there already, begin with so many of each kind."
        ),
    ] = 0,
    last_id: LastId = None,
) -> Response[bytes]:
    """One session, as it is committed: server-sent events, from now on, or behind Last-Event-ID.

    Nothing is lost, however old the id is: what was missed is read from the store.
    """
    position = None
    if place := last_id or after:
        position = parse_position(place, field="Last-Event-ID" if last_id else "after")
    kinds, least_level = _kinds(kind) or frozenset(KINDS), _rank(level)
    session = await asyncio.to_thread(sessions.find, reader, session_id)
    following = Following(reader, session.id, kinds, least_level)
    watch = hub.watch(session.id)
    begin = partial(following.begin, position, last)
    chunks = _of_session(hub, watch, following, share, clock, begin)
    return EventStream(Sender(hub, watch, chunks, _key_of(request)))


@route(
    ["/api/live", "/api/sessions/{session_id:str}/live"],
    http_method=HttpMethod.HEAD,
    include_in_schema=False,
    sync_to_thread=False,
)
def head() -> Response[bytes]:
    """What a stream is, without one."""
    return Response(b"", media_type=sse.MEDIA_TYPE, headers=_HEADERS)


def _key_of(request: AnyRequest) -> Callable[[], object]:
    """What raises when the key that a stream was asked with is good for it no longer."""
    gate: Gate = request.app.state.gate
    return partial(gate.admit, request.headers.get("authorization"), "read")


def _kinds(text: str | None) -> frozenset[Kind]:
    return several_of(text, "kind", KINDS)


def _rank(text: str) -> int:
    return LEVELS.index(one_of(text, "level", LEVELS))


async def _of_all(hub: Hub, reader: Reader) -> AsyncGenerator[bytes, None]:
    """What a reader of all sessions is sent."""
    loop = asyncio.get_running_loop()
    gap = sse.message("gap", encode(reader.gap), reader.id) if reader.gap else sse.heartbeat(reader.id)
    yield sse.retry(RETRY) + gap
    quiet_until = loop.time() + HEARTBEAT
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(quiet_until):
                await reader.ready.wait()
        try:
            chunk = reader.take()
        except Overtaken:
            hub.counts.cut += 1
            yield _cut(TOO_SLOW, reader.id)
            return
        if not chunk and hub.closed.is_set():
            yield _cut(STOPPING, reader.id)
            return
        if not chunk and loop.time() >= quiet_until:
            chunk = sse.heartbeat(reader.id)
        if chunk:
            yield chunk
            quiet_until = loop.time() + HEARTBEAT
        await asyncio.sleep(PAUSE - loop.time() % PAUSE)


async def _of_session(
    hub: Hub,
    watch: Watch,
    following: Following,
    share: Share,
    clock: Clock,
    begin: Callable[[int], bytes],
) -> AsyncGenerator[bytes, None]:
    """What a reader of one session is sent."""
    loop = asyncio.get_running_loop()

    async def look(work: Callable[[], bytes]) -> bytes:
        before = following.told
        chunk = await share.run(work)
        hub.counts.messages += following.told - before
        return chunk

    try:
        # It is watched already, so that no commit goes by between this look and the next.
        yield sse.retry(RETRY) + await look(partial(begin, clock.now()))
        quiet_until = loop.time() + HEARTBEAT
        while not hub.closed.is_set():
            if not following.behind:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(quiet_until):
                        await watch.ready.wait()
            chunk = b""
            if following.behind or watch.ready.is_set():
                session, changed = watch.take()
                chunk = await look(partial(following.read, session, clock.now(), problems=changed))
            if not chunk and loop.time() >= quiet_until:
                # What went for its age was told to nobody, and is looked for.
                chunk = await look(partial(following.read, None, clock.now(), problems=False))
                chunk = chunk or sse.heartbeat(str(following.position))
            if chunk:
                yield chunk
                quiet_until = loop.time() + HEARTBEAT
            if not following.behind:
                await asyncio.sleep(PAUSE)
        yield _cut(STOPPING, str(following.position))
    except UnknownSession:
        yield _cut(REMOVED, str(following.position))
    except DatacatError as error:
        yield _cut(Cut("failed", str(error)), str(following.position))


def _cut(why: Cut, last_id: str) -> bytes:
    return sse.message("cut", encode(why), last_id)


class EventStream(Response[bytes]):
    """A stream of pieces to one reader; ``sender`` sends it."""

    def __init__(self, sender: "Sender") -> None:
        super().__init__(b"", media_type=sse.MEDIA_TYPE)
        self._sender = sender

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """What sends it."""
        return self._sender


class Sender(ASGIResponse):
    """Sends pieces to one reader, who is forgotten when it ends.

    Args:
        hub: knows when the service stops.
        reader: who is told to leave.
        chunks: what is sent.
        admit: asked before each piece; raises when there is to be no more.
    """

    def __init__(
        self,
        hub: Hub,
        reader: Reader | Watch,
        chunks: AsyncGenerator[bytes, None],
        admit: Callable[[], object],
    ) -> None:
        super().__init__()
        self._admit = admit
        self._hub = hub
        self._reader = reader
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the reader is gone, is cut off, or the service stops."""
        sending = asyncio.create_task(self._send(send), name="datacat-live")
        gone = asyncio.create_task(_gone(receive))
        stuck = asyncio.create_task(self._stuck_at_the_stop())
        tasks = (sending, gone, stuck)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if not gone.done() and not (sending.done() and sending.result()):
                await _hang_up(scope, gone)
        finally:
            self._reader.leave()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, send: Send) -> bool:
        """Whether the reader took all of it."""
        await send({"type": "http.response.start", "status": 200, "headers": _RAW_HEADERS})
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    if not self._may_go_on():
                        break
                    async with asyncio.timeout(SEND_TIMEOUT):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
            async with asyncio.timeout(SEND_TIMEOUT):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            self._hub.counts.cut += 1
            return False
        return True

    def _may_go_on(self) -> bool:
        try:
            self._admit()
        except DatacatError:
            return False
        return True

    async def _stuck_at_the_stop(self) -> None:
        await self._hub.closed.wait()
        await asyncio.sleep(STOP_TIMEOUT)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _hang_up(scope: Scope, gone: "asyncio.Task[None]") -> None:
    """Close the connection of a reader that does not read: what waits to be sent would keep it open."""
    extension: dict[str, Any] | None = (scope.get("extensions") or {}).get(HANG_UP)  # type: ignore[assignment]  # ours
    if extension is not None:
        extension["now"]()
        await gone
