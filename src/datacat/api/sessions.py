"""``/api/sessions``: the founding design's calls, and the batch of records."""

import asyncio
from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from datacat.api import openapi
from datacat.api.body import read_body
from datacat.api.dependencies import Ingest, ServerClock, Sessions
from datacat.api.views import Ok, SessionCreated
from datacat.ingest import admit
from datacat.ingest.committer import Committer
from datacat.model.errors import InvalidInput, UnknownSession
from datacat.model.ids import parse_session_id
from datacat.model.records import Answer, Batch
from datacat.query import dossier, sessions
from datacat.wire.codec import encode

AnyRequest = Request[Any, Any, Any]


class SessionsController(Controller):
    """Record a session, and read it back."""

    path = "/api/sessions"
    tags = ["sessions"]

    @post(
        status_code=200,
        operation_class=openapi.TakesCreate,
        responses={**openapi.CREATED, **openapi.problems(400, 413, 415, 422, 503)},
    )
    async def create_session(self, request: AnyRequest, ingest: Ingest, clock: ServerClock) -> SessionCreated:
        """Begin a session. The same id again is the same session; what was not known is filled in."""
        body = await read_body(request)
        batch = admit.create(body, clock.now())
        await _commit(ingest, batch, len(body))
        return SessionCreated(batch.session_id)

    @get("/{session_id:str}", responses={**openapi.SESSION, **openapi.problems(400, 404, 422, 503)})
    async def get_session(
        self,
        session_id: str,
        reader: Sessions,
        events: Annotated[bool, QueryParameter(description="Whether the events are in the answer.")] = True,
        metrics: Annotated[bool, QueryParameter(description="Whether the metrics are in the answer.")] = True,
    ) -> Stream:
        """The whole session, its events and metrics oldest first."""
        session = await asyncio.to_thread(sessions.find, reader, _known(session_id))
        pieces = sessions.whole(reader, session, sessions.Lists(events, metrics))
        return Stream(sessions.gathered(pieces), media_type="application/json")

    @get("/{session_id:str}/dossier", responses={**openapi.DOSSIER, **openapi.problems(404, 422, 503)})
    async def get_dossier(self, session_id: str, reader: Sessions, clock: ServerClock) -> Response[bytes]:
        """How the session went, with the evidence. The first digits of an id will do where no other begins so.

        The verdict in a sentence, the exit's details, the hangs with their stacks, the last 100 events, the
        state at the end and 30 seconds before, and the last 20 points of each metric.
        """

        def read() -> bytes:
            return encode(dossier.dossier(reader, dossier.find(reader, session_id), clock.now()))

        return Response(await asyncio.to_thread(read), media_type="application/json")

    @post(
        "/{session_id:str}/state",
        status_code=200,
        operation_class=openapi.TakesState,
        responses={**openapi.OK, **openapi.WRITE_PROBLEMS},
    )
    async def update_state(
        self, session_id: str, request: AnyRequest, ingest: Ingest, clock: ServerClock
    ) -> Ok:
        """Merge an object into the state: objects merge, all else is replaced, null is a value.

        As `application/merge-patch+json` it is an RFC 7396 merge patch, where null removes.
        """
        body = await read_body(request)
        content_type = request.headers.get("content-type", "")
        return await _done(
            ingest, admit.state(_known(session_id), body, content_type, clock.now()), len(body)
        )

    @post(
        "/{session_id:str}/events",
        status_code=200,
        operation_class=openapi.TakesEvent,
        responses={**openapi.OK, **openapi.WRITE_PROBLEMS},
    )
    async def log_event(self, session_id: str, request: AnyRequest, ingest: Ingest, clock: ServerClock) -> Ok:
        """Record one event. A timestamp is RFC 3339, or microseconds since 1970."""
        body = await read_body(request)
        return await _done(ingest, admit.event(_known(session_id), body, clock.now()), len(body))

    @post(
        "/{session_id:str}/metrics",
        status_code=200,
        operation_class=openapi.TakesMetric,
        responses={**openapi.OK, **openapi.WRITE_PROBLEMS},
    )
    async def log_metric(
        self, session_id: str, request: AnyRequest, ingest: Ingest, clock: ServerClock
    ) -> Ok:
        """Record one metric. A timestamp is RFC 3339, or microseconds since 1970."""
        body = await read_body(request)
        return await _done(ingest, admit.metric(_known(session_id), body, clock.now()), len(body))

    @post(
        "/{session_id:str}/heartbeat",
        status_code=200,
        responses={**openapi.OK, **openapi.problems(400, 404, 413, 415, 503)},
    )
    async def heartbeat(self, session_id: str, request: AnyRequest, ingest: Ingest, clock: ServerClock) -> Ok:
        """The program's main loop is alive."""
        await read_body(request)
        return await _done(ingest, admit.heartbeat(_known(session_id), clock.now()), 0)

    @post(
        "/{session_id:str}/end",
        status_code=200,
        responses={**openapi.OK, **openapi.problems(400, 404, 413, 415, 503)},
    )
    async def end_session(
        self, session_id: str, request: AnyRequest, ingest: Ingest, clock: ServerClock
    ) -> Ok:
        """The program says goodbye. What comes later is still stored."""
        await read_body(request)
        return await _done(ingest, admit.end(_known(session_id), clock.now()), 0)

    @post(
        "/{session_id:str}/records",
        status_code=200,
        operation_class=openapi.TakesRecords,
        responses={**openapi.TAKEN, **openapi.problems(400, 404, 409, 413, 415, 422, 503)},
    )
    async def send_records(
        self,
        session_id: str,
        request: AnyRequest,
        ingest: Ingest,
        origin: Annotated[
            str,
            HeaderParameter(
                name="Datacat-Origin", description="Who wrote them: app, watchdog, parent or server."
            ),
        ] = "app",
    ) -> Answer:
        """Record a batch, exactly once: what the server has already is skipped, a gap is answered 409.

        A start record begins the session where it is new. A batch without a record is a sign of life.
        """
        body = await read_body(request)
        return await ingest.submit(admit.records(parse_session_id(session_id), origin, body), size=len(body))


def _known(session_id: str) -> str:
    try:
        return parse_session_id(session_id)
    except InvalidInput:
        raise UnknownSession(session_id[:80]) from None


async def _commit(ingest: Committer, batch: Batch, size: int) -> None:
    answer = await ingest.submit(batch, size=size)
    for rejected in answer.rejected:
        raise InvalidInput(rejected.code, rejected.message)


async def _done(ingest: Committer, batch: Batch, size: int) -> Ok:
    await _commit(ingest, batch, size)
    return Ok()
