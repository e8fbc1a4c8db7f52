"""Which parameters a question may have: one that nobody knows is refused, and one that says nothing, or two things.

A filter that is misspelt, or empty, or given twice, and passed over answers another question than was asked, and nobody
sees it. What records is let through with whatever stands behind its path: nothing is lost for a typo.
"""

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from datacat.model.errors import InvalidInput

_GRAFANA: Final = "/api/grafana/"
"""Whatever is empty there asks for all: so a dashboard's variable is that has nothing to choose from."""

_EMPTY_FOR_ALL: Final = frozenset({"product", "version", "environment", "hostname", "by"})


async def refuse_unclear(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a request through that asks only what its handler knows, and says one thing of each.

    Raises:
        InvalidInput: code ``unknown_parameter``, with those that there are; ``wrong_value`` for one that is empty, or
            that means one value and is given several.
    """
    scope = connection.scope
    asks = scope.get("method") in ("GET", "DELETE") and scope["path"].startswith("/api/")
    if not asks or not scope["query_string"]:
        return
    known = known_to(handler)
    may_be_empty = scope["path"].startswith(_GRAFANA)
    for name, values in connection.query_params.dict().items():
        if name not in known:
            raise _unknown(name, tuple(known))
        if "" in values and not may_be_empty and name not in _EMPTY_FOR_ALL:
            raise _empty(name)
        if len(set(values)) > 1 and not known[name]:
            raise _several(name, values)


@cache
def known_to(handler: BaseRouteHandler) -> dict[str, bool]:
    """The names of the parameters of a handler, and of what it depends on; with each, whether it may be given again."""
    return dict(sorted(_known_to(handler)))


def _known_to(handler: BaseRouteHandler) -> Iterator[tuple[str, bool]]:
    provided = handler.resolve_dependencies()
    waiting = [handler.parsed_fn_signature]
    while waiting:
        for name, field in waiting.pop().parameters.items():
            if isinstance(field.kwarg_definition, QueryParameter):
                yield field.kwarg_definition.name or name, field.has_inner_subclass_of(list)
            elif name in provided:
                waiting.append(provided[name].parsed_fn_signature)


def _empty(name: str) -> InvalidInput:
    return InvalidInput(
        "wrong_value",
        f"{name} is empty: give it a value, or leave it out",
        field=name,
        found="nothing",
        expected="a value",
    )


def _several(name: str, values: list[str]) -> InvalidInput:
    found = " and ".join(repr(value[:40]) for value in values[:3])
    return InvalidInput(
        "wrong_value",
        f"{name} means one value, found {found}: give it once",
        field=name,
        found=found,
        expected="one value",
    )


def _unknown(name: str, known: tuple[str, ...]) -> InvalidInput:
    found = name[:40]
    near = difflib.get_close_matches(found, known, 1)
    cure = f"{near[0]} is one" if near else f"it knows {', '.join(known) or 'none'}"
    return InvalidInput(
        "unknown_parameter",
        f"{found!r} is no parameter of this question; {cure}",
        field=found,
        found=repr(found),
        expected=", ".join(known),
    )
