"""What a query may ask for, read the same way wherever it is asked."""

from typing import Annotated, Any, TypeVar

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation
from msgspec.structs import replace

from datacat.model.errors import InvalidInput, KeyForbids, UnknownSession
from datacat.model.ids import parse_session_id
from datacat.model.lifecycle import Status
from datacat.store.asked import Scope
from datacat.wire.timestamps import parse_moment

T = TypeVar("T", bound=str)

AskedNames = NamedDependency[SkipValidation[Scope]]
"""Handlers ask for it as ``of``; see :func:`provide_names`."""

AskedScope = NamedDependency[SkipValidation[Scope]]
"""Handlers ask for it as ``within``; see :func:`provide_scope`."""

StatusList = Annotated[
    str | None,
    QueryParameter(description="active, hung, ended, crashed or lost; several with commas between."),
]

_MOMENT = "RFC 3339, or seconds, milliseconds or microseconds since 1970."


async def provide_names(
    request: Request[Any, Any, Any],
    product: Annotated[str | None, QueryParameter(description="Of this product alone; * for all.")] = None,
    version: Annotated[str | None, QueryParameter(description="Of this version alone; * for all.")] = None,
    environment: Annotated[
        str | None, QueryParameter(description="Of this environment alone; * for all.")
    ] = None,
) -> Scope:
    """Which sessions, whenever they were; what is empty asks for all, as does a lone star.

    A key for one product asks for that.
    """
    asked, bound = named(product), request.auth.product
    if bound is not None and asked not in (None, bound):
        raise KeyForbids.of_product(asked, bound)
    return Scope(product=bound or asked, version=named(version), environment=named(environment))


async def provide_scope(
    of: AskedNames,
    since: Annotated[
        str | None, QueryParameter(name="from", description=f"From this moment on: {_MOMENT}")
    ] = None,
    until: Annotated[
        str | None, QueryParameter(name="to", description=f"Before this moment: {_MOMENT}")
    ] = None,
) -> Scope:
    """Which sessions, and which time."""
    return replace(
        of,
        since=parse_moment(since, field="from") if since else None,
        until=parse_moment(until, field="to") if until else None,
    )


def known_id(text: str) -> str:
    """The id of a session in its usual form.

    Raises:
        UnknownSession: no session can be called so.
    """
    try:
        return parse_session_id(text)
    except InvalidInput:
        raise UnknownSession(text[:80]) from None


def named(text: str | None) -> str | None:
    """The name that is asked for; None for all."""
    return None if text in (None, "", "*") else text


def one_of(text: str, field: str, known: tuple[T, ...]) -> T:
    """``text``, where it is one of the words known.

    Raises:
        InvalidInput: code ``wrong_value``, with all the words.
    """
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


def several_of(text: str | None, field: str, known: tuple[T, ...]) -> frozenset[T]:
    """The words of a list with commas between, each one of those known; an empty set for all."""
    words = (each.strip() for each in (named(text) or "").split(","))
    return frozenset(one_of(each, field, known) for each in words if each)


def statuses_of(text: str | None) -> frozenset[Status]:
    """The statuses of such a list."""
    return frozenset(Status(each) for each in several_of(text, "status", tuple(map(str, Status))))
