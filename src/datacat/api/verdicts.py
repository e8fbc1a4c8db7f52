"""``/api/problems``, ``/api/hangs``, ``/api/crashes`` and ``/api/reliability``: questions over all sessions."""

import asyncio
from typing import Annotated, Final, Literal, get_args

from litestar import get
from litestar.params import QueryParameter

from datacat.api.dependencies import Sessions
from datacat.api.openapi import answers, problems
from datacat.api.queries import AskedScope, one_of, several_of
from datacat.model.problems import CRASH, HANG, ProblemKind
from datacat.query import problems as query
from datacat.query import reliability as health
from datacat.query.problems import GroupView, ProblemView
from datacat.query.reliability import ReliabilityView
from datacat.store.asked import Bucket, Dimension

Limit = Annotated[int, QueryParameter(ge=1, le=1_000, description="At most so many.")]
Kind = Annotated[str | None, QueryParameter(description="hang, crash or lost; all of them without it.")]
BucketName = Annotated[
    str,
    QueryParameter(description="A row for each hour, day or week (UTC, from Monday), or none: one for all."),
]
By = Annotated[
    str,
    QueryParameter(
        description="A row for each of these, with commas between: product, version, environment."
    ),
]

_MEANT: Final = problems(422, 503)


@get("/api/problems", tags=["verdicts"], responses={**answers(list[ProblemView], "Newest first."), **_MEANT})
async def list_problems(
    reader: Sessions,
    within: AskedScope,
    limit: Limit = 100,
    kind: Kind = None,
) -> list[ProblemView]:
    """What went wrong in any session: hangs, crashes and losses of contact, the one heard of last first.

    With a time asked for, the one that began last is first.
    A hang or a loss that is over has an `end`; its `id` stays, and so does its place.
    """
    asked: ProblemKind | None = None if kind is None else one_of(kind, "kind", get_args(ProblemKind))
    return await asyncio.to_thread(query.newest, reader, asked, within, limit)


@get(
    "/api/hangs", tags=["verdicts"], responses={**answers(list[GroupView], "Most frequent first."), **_MEANT}
)
async def list_hangs(
    reader: Sessions,
    within: AskedScope,
    limit: Limit = 100,
) -> list[GroupView]:
    """Hangs in the same place of the program, whatever its version: how many, where, since when."""
    return await asyncio.to_thread(query.grouped, reader, HANG, within, limit)


@get(
    "/api/crashes",
    tags=["verdicts"],
    responses={**answers(list[GroupView], "Most frequent first."), **_MEANT},
)
async def list_crashes(
    reader: Sessions,
    within: AskedScope,
    limit: Limit = 100,
) -> list[GroupView]:
    """Crashes of the same kind in the same place: how many, in which versions, since when."""
    return await asyncio.to_thread(query.grouped, reader, CRASH, within, limit)


@get(
    "/api/reliability", tags=["verdicts"], responses={**answers(list[ReliabilityView], "In order."), **_MEANT}
)
async def get_reliability(
    reader: Sessions,
    within: AskedScope,
    bucket: BucketName = "day",
    by: By = "",
) -> list[ReliabilityView]:
    """Release health of the sessions that began in the time asked for: crash-free, hang-free and lost rates."""
    length: Bucket | Literal["none"] = one_of(bucket, "bucket", (*get_args(Bucket), "none"))
    dimensions = several_of(by, "by", get_args(Dimension))
    return await asyncio.to_thread(health.reliability, reader, within, length, dimensions)
