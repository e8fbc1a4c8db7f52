"""The raw export: every session whole, as the founding design has it for JSON data sources."""

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter
from litestar.response import Stream

from datacat.api.dependencies import Sessions
from datacat.api.openapi import SESSIONS, problems
from datacat.api.queries import AskedScope, StatusList, statuses_of
from datacat.api.stream import stream
from datacat.model.lifecycle import Status
from datacat.model.session import Session
from datacat.query import sessions
from datacat.store.asked import Scope


@get(
    "/api/grafana/sessions",
    tags=["grafana"],
    sync_to_thread=False,
    responses={**SESSIONS, **problems(422, 503)},
)
def export_sessions(
    reader: Sessions,
    within: AskedScope,
    status: StatusList = None,
    limit: Annotated[
        int | None, QueryParameter(ge=1, le=10_000, description="The newest, and at most so many.")
    ] = None,
    events: Annotated[bool, QueryParameter(description="Whether the events are in the answer.")] = True,
    metrics: Annotated[bool, QueryParameter(description="Whether the metrics are in the answer.")] = True,
    last: Annotated[
        int | None,
        QueryParameter(ge=1, description="Of each session's events and metrics, the last so many."),
    ] = None,
) -> Stream:
    """Every session whole, as one JSON array, streamed in the order of creation.

    Every session has every key (`ended_at` is null while it runs), as JSON data sources need. Filters
    alone still read every session; with a limit no more is read than is given.
    """
    statuses = statuses_of(status)
    lists = sessions.Lists(events, metrics, last)
    if limit is not None:
        pieces = sessions.newest(reader, lists, within, statuses, limit)
    else:
        pieces = sessions.every(reader, lists, lambda session: _wanted(session, within, statuses))
    return stream(sessions.gathered(pieces))


def _wanted(session: Session, scope: Scope, statuses: frozenset[Status]) -> bool:
    since, until = scope.span
    return (
        scope.product in (None, session.product)
        and scope.version in (None, session.version)
        and scope.environment in (None, session.environment)
        and since <= session.created_at < until
        and (not statuses or session.status in statuses)
    )
