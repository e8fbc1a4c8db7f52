"""``/api/sessions/{id}/events`` and ``/metrics``: record one, and read them a page at a time."""

from typing import Annotated, Any, get_args

from litestar import Controller, Request, Response, get, post
from litestar.params import QueryParameter

from datacat.api.answer import answer
from datacat.api.body import read_body
from datacat.api.dependencies import Ingest, Sessions
from datacat.api.openapi import OK, WRITE_PROBLEMS, TakesEvent, TakesMetric, answers, problems
from datacat.api.queries import known_id, one_of
from datacat.api.submit import done
from datacat.api.views import CurvesAnswer, EventsAnswer, MetricsAnswer, Ok
from datacat.ingest import admit
from datacat.model.errors import InvalidInput
from datacat.model.limits import MAX_TIME
from datacat.model.records import Level
from datacat.query import pages, sessions
from datacat.query.curves import REDUCTIONS, Reduction, curves
from datacat.store.asked import Wanted
from datacat.wire.timestamps import parse_moment

AnyRequest = Request[Any, Any, Any]

_MOMENT = "RFC 3339, or seconds, milliseconds or microseconds since 1970."
_MEANT = problems(404, 422, 503)

After = Annotated[
    int | None,
    QueryParameter(ge=0, le=MAX_TIME, description="Those numbered above this; 0 for the first page."),
]
Before = Annotated[
    int | None,
    QueryParameter(
        ge=1, le=MAX_TIME, description="Those numbered below this; without it and after, the newest."
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=1_000, description="At most so many.")]
Names = Annotated[
    list[str] | None,
    QueryParameter(name="name", description="Of this name alone; given again, of any of them."),
]
Since = Annotated[str | None, QueryParameter(name="from", description=f"From this moment on: {_MOMENT}")]
Until = Annotated[str | None, QueryParameter(name="to", description=f"Before this moment: {_MOMENT}")]


class EventsController(Controller):
    """A session's events."""

    path = "/api/sessions/{session_id:str}/events"
    tags = ["sessions"]

    @post(status_code=200, operation_class=TakesEvent, responses={**OK, **WRITE_PROBLEMS})
    async def log_event(self, session_id: str, request: AnyRequest, ingest: Ingest) -> Ok:
        """Record one event. A timestamp is RFC 3339, or microseconds since 1970."""
        body = await read_body(request)
        return await done(ingest, admit.event(known_id(session_id), body, ingest.now()), len(body))

    @get(responses={**answers(EventsAnswer, "A page, oldest first."), **_MEANT})
    async def list_events(
        self,
        session_id: str,
        reader: Sessions,
        after: After = None,
        before: Before = None,
        limit: Limit = 100,
        names: Names = None,
        level: Annotated[
            str, QueryParameter(description="debug, info, warning, error or fatal, and what is worse.")
        ] = "debug",
        since: Since = None,
        until: Until = None,
    ) -> Response[bytes]:
        """Events in the order in which they came, a page at a time, in both directions.

        A page looks at 100,000 events at most: where few are wanted it may be short, or empty, and still have
        a `next` or a `previous`.
        """
        wanted = _wanted(names, since, until, least_level=one_of(level, "level", get_args(Level)))
        asked = pages.Asked(after, before, limit)
        return await answer(lambda: pages.events(reader, sessions.find(reader, session_id), asked, wanted))


class MetricsController(Controller):
    """A session's metrics."""

    path = "/api/sessions/{session_id:str}/metrics"
    tags = ["sessions"]

    @post(status_code=200, operation_class=TakesMetric, responses={**OK, **WRITE_PROBLEMS})
    async def log_metric(self, session_id: str, request: AnyRequest, ingest: Ingest) -> Ok:
        """Record one metric. A timestamp is RFC 3339, or microseconds since 1970."""
        body = await read_body(request)
        return await done(ingest, admit.metric(known_id(session_id), body, ingest.now()), len(body))

    @get(responses={**answers(MetricsAnswer | CurvesAnswer, "A page, oldest first; or curves."), **_MEANT})
    async def list_metrics(
        self,
        session_id: str,
        reader: Sessions,
        after: After = None,
        before: Before = None,
        limit: Limit = 100,
        names: Names = None,
        tags: Annotated[
            list[str] | None,
            QueryParameter(name="tag", description="With this tag; given again, with all of them."),
        ] = None,
        since: Since = None,
        until: Until = None,
        max_points: Annotated[
            int | None,
            QueryParameter(ge=1, le=10_000, description="Answer curves instead, of at most so many points."),
        ] = None,
        aggregate: Annotated[
            str,
            QueryParameter(description="What a curve's point is: avg, min, max, last, or lttb."),
        ] = "avg",
    ) -> Response[bytes]:
        """Metrics in the order in which they came, a page at a time, in both directions; see the events.

        With `max_points` all of them in the time asked for, as `series` of `points`: as they were recorded where there
        are no more, else a point for each span of time, or those that the curve would miss most (`lttb`).
        """
        wanted = _wanted(names, since, until, tags=frozenset(tags or ()))
        how: Reduction = one_of(aggregate, "aggregate", REDUCTIONS)
        if max_points is not None:
            _not_both(after, before)
            return await answer(
                lambda: curves(reader, sessions.find(reader, session_id), wanted, how, max_points)
            )
        asked = pages.Asked(after, before, limit)
        return await answer(lambda: pages.metrics(reader, sessions.find(reader, session_id), asked, wanted))


def _wanted(names: list[str] | None, since: str | None, until: str | None, **also: Any) -> Wanted:
    return Wanted(
        names=frozenset(names or ()),
        since=parse_moment(since, field="from") if since else None,
        until=parse_moment(until, field="to") if until else None,
        **also,
    )


def _not_both(after: int | None, before: int | None) -> None:
    if after is not None or before is not None:
        raise InvalidInput(
            "wrong_value",
            "max_points asks for curves, which have no pages: leave out after and before, and say from and to",
            field="max_points",
            found="after or before",
            expected="from and to",
        )
