"""Which parameters a question may have: one that nobody knows is refused.

A filter that is misspelt and passed over answers another question than was asked, and nobody sees
it. What records is let through with whatever stands behind its path: nothing is lost for a typo.
"""

import difflib
from collections.abc import Iterator
from functools import cache
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from datacat.model.errors import InvalidInput


async def refuse_unknown(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a request through that asks only what its handler knows.

    Raises:
        InvalidInput: code ``unknown_parameter``, with those that there are.
    """
    scope = connection.scope
    asks = scope.get("method") in ("GET", "DELETE") and scope["path"].startswith("/api/")
    if not asks or not scope["query_string"]:
        return
    known = known_to(handler)
    for name in connection.query_params:
        if name not in known:
            raise _unknown(name, known)


@cache
def known_to(handler: BaseRouteHandler) -> tuple[str, ...]:
    """The names of the parameters of a handler, and of what it depends on."""
    return tuple(sorted(_known_to(handler)))


def _known_to(handler: BaseRouteHandler) -> Iterator[str]:
    provided = handler.resolve_dependencies()
    waiting = [handler.parsed_fn_signature]
    while waiting:
        for name, field in waiting.pop().parameters.items():
            if isinstance(field.kwarg_definition, QueryParameter):
                yield field.kwarg_definition.name or name
            elif name in provided:
                waiting.append(provided[name].parsed_fn_signature)


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
