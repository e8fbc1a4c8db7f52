"""``/api/sessions/{id}/state``: change it, and read it as it was, its changes, the difference of two moments."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, get, post
from litestar.params import QueryParameter

from datacat.api.answer import answer
from datacat.api.body import read_body
from datacat.api.dependencies import Ingest, ServerClock, Sessions
from datacat.api.openapi import OK, WRITE_PROBLEMS, TakesState, answers, problems
from datacat.api.queries import known_id
from datacat.api.submit import done
from datacat.api.views import ChangesAnswer, DiffAnswer, Ok
from datacat.ingest import admit
from datacat.model.limits import MAX_TIME
from datacat.query import sessions, states
from datacat.query.states import StateView
from datacat.wire.timestamps import parse_moment

AnyRequest = Request[Any, Any, Any]

_MOMENT = "RFC 3339, or seconds, milliseconds or microseconds since 1970."
_MEANT = problems(404, 422, 503)


class StatesController(Controller):
    """One session's state through time."""

    path = "/api/sessions/{session_id:str}/state"
    tags = ["sessions"]

    @get(responses={**answers(StateView, "The state, and of which moment."), **_MEANT})
    async def get_state(
        self,
        session_id: str,
        reader: Sessions,
        clock: ServerClock,
        at: Annotated[
            str | None, QueryParameter(description=f"The moment, now without it: {_MOMENT}")
        ] = None,
    ) -> Response[bytes]:
        """The state as it was at a moment, by the program's clock."""
        moment = parse_moment(at, field="at") if at else clock.now()
        return await answer(lambda: states.at(reader, sessions.find_id(reader, session_id), moment))

    @post(
        status_code=200,
        operation_class=TakesState,
        responses={**OK, **WRITE_PROBLEMS},
    )
    async def update_state(self, session_id: str, request: AnyRequest, ingest: Ingest) -> Ok:
        """Merge an object into the state: objects merge, all else is replaced, null is a value.

        As `application/merge-patch+json` it is an RFC 7396 merge patch, where null removes.
        """
        body = await read_body(request)
        content_type = request.headers.get("content-type", "")
        return await done(
            ingest, admit.state(known_id(session_id), body, content_type, ingest.now()), len(body)
        )

    @get("/changes", responses={**answers(ChangesAnswer, "In the order in which they were made."), **_MEANT})
    async def get_changes(
        self,
        session_id: str,
        reader: Sessions,
        after: Annotated[
            int,
            QueryParameter(ge=0, le=MAX_TIME, description="Those numbered above this; the next of a page."),
        ] = 0,
        limit: Annotated[int, QueryParameter(ge=1, le=1_000, description="At most so many.")] = 100,
    ) -> Response[bytes]:
        """What changed when: each change as it was sent."""
        return await answer(
            lambda: states.changes(reader, sessions.find_id(reader, session_id), after, limit)
        )

    @get("/diff", responses={**answers(DiffAnswer, "A JSON Patch, RFC 6902."), **_MEANT})
    async def get_diff(
        self,
        session_id: str,
        reader: Sessions,
        clock: ServerClock,
        since: Annotated[
            str | None,
            QueryParameter(name="from", description=f"The one moment, the beginning without it: {_MOMENT}"),
        ] = None,
        until: Annotated[
            str | None, QueryParameter(name="to", description=f"The other, now without it: {_MOMENT}")
        ] = None,
    ) -> Response[bytes]:
        """What makes of the state at one moment the state at another, with what was there before."""
        one = parse_moment(since, field="from") if since else 0
        other = parse_moment(until, field="to") if until else clock.now()
        return await answer(lambda: states.diff(reader, sessions.find_id(reader, session_id), one, other))
