"""Every error that reaches the outside, as RFC 9457 problems."""

import logging
import re
from collections.abc import Callable
from typing import Any, Final

from litestar import Litestar, Request, Response
from litestar.exceptions import ClientException, HTTPException, MethodNotAllowedException, NotFoundException
from litestar.routes import HTTPRoute
from litestar.status_codes import HTTP_500_INTERNAL_SERVER_ERROR
from msgspec.structs import replace

from datacat.api.requests import request_id
from datacat.model.errors import DatacatError
from datacat.wire.problem import MEDIA_TYPE, Problem, problem, problem_of

logger = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]


def answer_datacat_error(request: AnyRequest, error: DatacatError) -> Response[bytes]:
    """An error of our own tree; one that is no fault of who asked, as of a damaged database, the log has too."""
    found, headers = problem_of(error)
    if found.status == HTTP_500_INTERNAL_SERVER_ERROR:
        logger.error("%s %s failed: %s", request.method, _path(request), error)
        found = _with_id(found)
    return _respond(found, headers)


def answer_http_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """An error that the framework found: an unknown path, a wrong method, a bad parameter."""
    if isinstance(error, MethodNotAllowedException):
        allowed = _allowed_methods(request.app, _path(request))
        detail = f"{_path(request)} knows {allowed}, not {request.method}"
        return _respond(
            problem("method_not_allowed", detail, found=request.method, expected=allowed), {"Allow": allowed}
        )
    if isinstance(error, NotFoundException):
        detail = f"{_path(request)} is not a path of this service; /docs lists them all"
        return _respond(problem("unknown_path", detail, found=_path(request)[:200]), {})
    if type(error) is ClientException and "host" in error.detail:
        return _respond(_bad_host(request.headers.get("host", "")), {})
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
    logger.error("%s %s failed", request.method, _path(request), exc_info=error)
    found, headers = problem_of(error)
    return _respond(_with_id(found), headers)


HANDLERS: Final[dict[int | type[Exception], Callable[[AnyRequest, Any], Response[Any]]]] = {
    DatacatError: answer_datacat_error,
    HTTPException: answer_http_error,
    Exception: answer_any_error,
}


def _with_id(found: Problem) -> Problem:
    id_of_it = request_id()
    return replace(found, detail=f"{found.detail} (request {id_of_it})") if id_of_it else found


def _bad_host(host: str) -> Problem:
    detail = "the header Host holds what no host may be called"
    return problem("bad_host", detail, field="Host", found=host[:200], expected="HOST or HOST:PORT")


def _path(request: AnyRequest) -> str:
    # The URL is put together with the header Host, which may be anything, and then there is none.
    return str(request.scope["path"])


def _respond(found: Problem, headers: dict[str, str]) -> Response[bytes]:
    return Response(found.body(), status_code=found.status, media_type=MEDIA_TYPE, headers=headers)


def _allowed_methods(app: Litestar, path: str) -> str:
    for route in app.routes:
        pattern = re.sub(r"\{[^}]*\}", "[^/]+", route.path)
        if isinstance(route, HTTPRoute) and re.fullmatch(pattern, path):
            return ", ".join(sorted(route.methods))
    return "GET"
