"""Every error that reaches the outside, as RFC 9457 problems."""

import logging
import re
from collections.abc import Callable
from typing import Any, Final

from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.routes import HTTPRoute
from msgspec.structs import replace

from datacat.api.requests import request_id
from datacat.model.errors import DatacatError
from datacat.wire.problem import MEDIA_TYPE, Problem, problem, problem_of

logger = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]


def answer_datacat_error(_: AnyRequest, error: DatacatError) -> Response[bytes]:
    """An error of our own tree."""
    return _respond(*problem_of(error))


def answer_http_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """An error that the framework found: an unknown path, a wrong method, a bad parameter."""
    if isinstance(error, MethodNotAllowedException):
        allowed = _allowed_methods(request.app, request.url.path)
        detail = f"{request.url.path} knows {allowed}, not {request.method}"
        return _respond(
            problem("method_not_allowed", detail, found=request.method, expected=allowed), {"Allow": allowed}
        )
    if isinstance(error, NotFoundException):
        detail = f"{request.url.path} is not a path of this service; /docs lists them all"
        return _respond(problem("unknown_path", detail, found=request.url.path[:200]), {})
    if error.status_code < 500:
        fields = (
            [each for each in error.extra if isinstance(each, dict)] if isinstance(error.extra, list) else []
        )
        detail = "; ".join(f"{each.get('key')}: {each.get('message')}" for each in fields) or error.detail
        field = str(fields[0].get("key", "")) if fields else ""
        return _respond(problem("wrong_value", detail, field=field), {})
    return answer_any_error(request, error)


def answer_any_error(request: AnyRequest, error: Exception) -> Response[bytes]:
    """A mistake of ours: the log has the traceback, the answer does not."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    found, headers = problem_of(error)
    if id_of_it := request_id():
        found = replace(found, detail=f"{found.detail} of the request {id_of_it}")
    return _respond(found, headers)


HANDLERS: Final[dict[int | type[Exception], Callable[[AnyRequest, Any], Response[Any]]]] = {
    DatacatError: answer_datacat_error,
    HTTPException: answer_http_error,
    Exception: answer_any_error,
}


def _respond(found: Problem, headers: dict[str, str]) -> Response[bytes]:
    return Response(found.body(), status_code=found.status, media_type=MEDIA_TYPE, headers=headers)


def _allowed_methods(app: Litestar, path: str) -> str:
    for route in app.routes:
        pattern = re.sub(r"\{[^}]*\}", "[^/]+", route.path)
        if isinstance(route, HTTPRoute) and re.fullmatch(pattern, path):
            return ", ".join(sorted(route.methods))
    return "GET"
