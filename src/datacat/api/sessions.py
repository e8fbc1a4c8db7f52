"""``/api/sessions``: the founding design's calls, and the batch of records."""

import asyncio
from typing import Annotated, Any, get_args

from litestar import Controller, Request, Response, delete, get, post
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from datacat.api import openapi
from datacat.api.answer import answer
from datacat.api.body import read_body
from datacat.api.dependencies import Ingest, Listeners, Removing, ServerClock, Sessions
from datacat.api.queries import AskedScope, StatusList, known_id, named, one_of, statuses_of
from datacat.api.stream import stream
from datacat.api.submit import commit, done
from datacat.api.views import Ok, SessionCreated
from datacat.ingest import admit
from datacat.model.errors import InvalidInput, UnknownSession
from datacat.model.ids import parse_session_id
from datacat.model.records import Answer
from datacat.model.words import words
from datacat.query import dossier, sessions
from datacat.query.summaries import SessionPage, page, state_asked
from datacat.store.asked import Search, Sort

AnyRequest = Request[Any, Any, Any]


class SessionsController(Controller):
    """Record a session, and read it back."""

    path = "/api/sessions"
    tags = ["sessions"]

    @post(
        status_code=200,
        operation_class=openapi.TakesCreate,
        responses={**openapi.CREATED, **openapi.problems(400, 413, 415, 422, 429, 503)},
    )
    async def create_session(self, request: AnyRequest, ingest: Ingest) -> SessionCreated:
        """Begin a session. The same id again is the same session; what was not known is filled in."""
        body = await read_body(request)
        batch = admit.create(body, ingest.now())
        await commit(ingest, batch, len(body))
        return SessionCreated(batch.session_id)

    @get(responses={**openapi.answers(SessionPage, "Newest first."), **openapi.problems(422, 503)})
    async def list_sessions(
        self,
        reader: Sessions,
        clock: ServerClock,
        within: AskedScope,
        status: StatusList = None,
        hostname: Annotated[str | None, QueryParameter(description="On this host alone.")] = None,
        tags: Annotated[
            list[str] | None,
            QueryParameter(name="tag", description="With this tag; given again, with all of them."),
        ] = None,
        events: Annotated[
            list[str] | None,
            QueryParameter(
                name="event",
                description="In which an event of this name happened; given again, of all of them.",
            ),
        ] = None,
        states: Annotated[
            list[str] | None,
            QueryParameter(
                name="state", description="Whose state has this value at this path: step=copy, disk.free=12."
            ),
        ] = None,
        text: Annotated[
            str | None,
            QueryParameter(
                description="With all of these words in the session's names and events' messages."
            ),
        ] = None,
        sort: Annotated[
            str, QueryParameter(description="newest, oldest, ended (last first), longest or hung (longest).")
        ] = "newest",
        cursor: Annotated[str | None, QueryParameter(description="The next of the page before.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=1_000, description="At most so many.")] = 100,
    ) -> SessionPage:
        """Sessions in a line each, the one that began last first, and how many there are of each status.

        The next page begins where this one ends, whatever arrives meanwhile. A page looks at 2,000 sessions at most,
        at 500 where the state is asked for: where few are wanted it may be short, or empty, and still have a `next`.
        """
        search = Search(
            scope=within,
            statuses=statuses_of(status),
            hostname=named(hostname),
            tags=frozenset(tags or ()),
            events=frozenset(events or ()),
            words=_words(text),
            state=tuple(map(state_asked, states or ())),
            sort=one_of(sort, "sort", get_args(Sort)),
        )
        return await asyncio.to_thread(page, reader, search, cursor, limit, clock.now())

    @get("/{session_id:str}", responses={**openapi.SESSION, **openapi.problems(400, 404, 422, 503)})
    async def get_session(
        self,
        session_id: str,
        reader: Sessions,
        events: Annotated[bool, QueryParameter(description="Whether the events are in the answer.")] = True,
        metrics: Annotated[bool, QueryParameter(description="Whether the metrics are in the answer.")] = True,
    ) -> Stream:
        """The whole session, its events and metrics oldest first."""
        session = await asyncio.to_thread(sessions.find, reader, session_id)
        pieces = sessions.whole(reader, session, sessions.Lists(events, metrics))
        return stream(sessions.gathered(pieces))

    @delete(
        "/{session_id:str}",
        status_code=200,
        responses={**openapi.answers(Ok, "It is gone."), **openapi.problems(404, 503)},
    )
    async def delete_session(
        self, session_id: str, reader: Sessions, janitor: Removing, hub: Listeners
    ) -> Ok:
        """Remove a session for good, with all that it recorded. Needs a key with the scope admin.

        It is gone with the answer; its rows are taken away, and their space is free, shortly after.
        """
        session = await asyncio.to_thread(sessions.find, reader, known_id(session_id))
        if not await janitor.remove([session.id], "asked"):
            raise UnknownSession(session.id)
        hub.removed(session.id)
        janitor.wake()
        return Ok()

    @get("/{session_id:str}/dossier", responses={**openapi.DOSSIER, **openapi.problems(404, 422, 503)})
    async def get_dossier(self, session_id: str, reader: Sessions, clock: ServerClock) -> Response[bytes]:
        """How the session went, with the evidence.

        The verdict in a sentence, the exit's details, the hangs with their stacks, the last 100 events, the
        state at the end and 30 seconds before, and the last 20 points of each metric.
        """
        return await answer(lambda: dossier.dossier(reader, sessions.find(reader, session_id), clock.now()))

    @post(
        "/{session_id:str}/heartbeat",
        status_code=200,
        responses={**openapi.OK, **openapi.problems(400, 404, 413, 415, 429, 503)},
    )
    async def heartbeat(self, session_id: str, request: AnyRequest, ingest: Ingest) -> Ok:
        """The program's main loop is alive."""
        await read_body(request)
        return await done(ingest, admit.heartbeat(known_id(session_id), ingest.now()), 0)

    @post(
        "/{session_id:str}/end",
        status_code=200,
        responses={**openapi.OK, **openapi.problems(400, 404, 413, 415, 429, 503)},
    )
    async def end_session(self, session_id: str, request: AnyRequest, ingest: Ingest) -> Ok:
        """The program says goodbye. What comes later is still stored."""
        await read_body(request)
        return await done(ingest, admit.end(known_id(session_id), ingest.now()), 0)

    @post(
        "/{session_id:str}/records",
        status_code=200,
        operation_class=openapi.TakesRecords,
        responses={**openapi.TAKEN, **openapi.problems(400, 404, 409, 413, 415, 422, 429, 503)},
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


def _words(text: str | None) -> frozenset[str]:
    found = words(text)
    if text and text.strip() and not found:
        raise InvalidInput(
            "wrong_value",
            "text has no word to look for: a word has 2 to 40 letters and digits, a number 5 digits at most",
            field="text",
            found=repr(text[:80]),
            expected="a word",
        )
    return found
