"""``/api/problems``, ``/api/hangs``, ``/api/crashes`` and ``/api/reliability``: questions over all sessions."""

import asyncio
from typing import Annotated, Final, Literal, TypeVar, get_args

from litestar import get
from litestar.params import QueryParameter

from datacat.api.dependencies import Sessions
from datacat.api.openapi import answers, problems
from datacat.model.errors import InvalidInput
from datacat.model.problems import CRASH, HANG, ProblemKind
from datacat.query import problems as query
from datacat.query import reliability as health
from datacat.query.problems import GroupView, ProblemView
from datacat.query.reliability import ReliabilityView
from datacat.store.port import Bucket, Dimension, Scope
from datacat.wire.timestamps import parse_timestamp

T = TypeVar("T", bound=str)

Product = Annotated[str | None, QueryParameter(description="Of this product alone.")]
Version = Annotated[str | None, QueryParameter(description="Of this version alone.")]
Environment = Annotated[str | None, QueryParameter(description="Of this environment alone.")]
Since = Annotated[
    str | None,
    QueryParameter(name="from", description="From this moment on: RFC 3339, or microseconds since 1970."),
]
Until = Annotated[
    str | None,
    QueryParameter(name="to", description="Before this moment: RFC 3339, or microseconds since 1970."),
]
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
    limit: Limit = 100,
    product: Product = None,
    version: Version = None,
    environment: Environment = None,
    kind: Kind = None,
    since: Since = None,
    until: Until = None,
) -> list[ProblemView]:
    """What went wrong in any session: hangs, crashes and losses of contact, the one heard of last first.

    A hang or a loss that is over has an `end`; its `id` stays, and so does its place.
    """
    asked: ProblemKind | None = None if kind is None else _one_of(kind, "kind", get_args(ProblemKind))
    scope = _scope(product, version, environment, since, until)
    return await asyncio.to_thread(query.newest, reader, asked, scope, limit)


@get(
    "/api/hangs", tags=["verdicts"], responses={**answers(list[GroupView], "Most frequent first."), **_MEANT}
)
async def list_hangs(
    reader: Sessions,
    limit: Limit = 100,
    product: Product = None,
    version: Version = None,
    environment: Environment = None,
    since: Since = None,
    until: Until = None,
) -> list[GroupView]:
    """Hangs in the same place of the program, whatever its version: how many, where, since when."""
    scope = _scope(product, version, environment, since, until)
    return await asyncio.to_thread(query.grouped, reader, HANG, scope, limit)


@get(
    "/api/crashes",
    tags=["verdicts"],
    responses={**answers(list[GroupView], "Most frequent first."), **_MEANT},
)
async def list_crashes(
    reader: Sessions,
    limit: Limit = 100,
    product: Product = None,
    version: Version = None,
    environment: Environment = None,
    since: Since = None,
    until: Until = None,
) -> list[GroupView]:
    """Crashes of the same kind in the same place: how many, in which versions, since when."""
    scope = _scope(product, version, environment, since, until)
    return await asyncio.to_thread(query.grouped, reader, CRASH, scope, limit)


@get(
    "/api/reliability", tags=["verdicts"], responses={**answers(list[ReliabilityView], "In order."), **_MEANT}
)
async def get_reliability(
    reader: Sessions,
    bucket: BucketName = "day",
    by: By = "",
    product: Product = None,
    version: Version = None,
    environment: Environment = None,
    since: Since = None,
    until: Until = None,
) -> list[ReliabilityView]:
    """Release health of the sessions that began in the time asked for: crash-free, hang-free and lost rates."""
    length: Bucket | Literal["none"] = _one_of(bucket, "bucket", (*get_args(Bucket), "none"))
    names = [each.strip() for each in by.split(",") if each.strip()]
    dimensions: frozenset[Dimension] = frozenset(_one_of(each, "by", get_args(Dimension)) for each in names)
    scope = _scope(product, version, environment, since, until)
    return await asyncio.to_thread(health.reliability, reader, scope, length, dimensions)


def _scope(
    product: str | None, version: str | None, environment: str | None, since: str | None, until: str | None
) -> Scope:
    return Scope(
        product=product,
        version=version,
        environment=environment,
        since=_moment(since, "from"),
        until=_moment(until, "to"),
    )


def _moment(text: str | None, field: str) -> int | None:
    if text is None:
        return None
    number = text.isascii() and text.isdigit() and len(text) < 20
    return parse_timestamp(int(text) if number else text, field=field)


def _one_of(text: str, field: str, known: tuple[T, ...]) -> T:
    for each in known:
        if each == text:
            return each
    words = ", ".join(known)
    raise InvalidInput(
        "wrong_value",
        f"{field} is one of {words}, not {text[:40]!r}",
        field=field,
        found=repr(text[:40]),
        expected=words,
    )
