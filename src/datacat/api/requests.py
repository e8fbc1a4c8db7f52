"""Every request from outside the framework: it is counted, and what is logged meanwhile says which one it was."""

import re
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client.metrics_core import CounterMetricFamily, Metric

logger = structlog.stdlib.get_logger(__name__)

REQUEST_ID: Final = "request_id"
"""What the log calls it."""

FAST_LANE: Final = "fast lane"
"""The route of those that it answers."""

_GIVEN: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NO_ROUTE: Final = "other"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Requests:
    """How many requests there were, by method, route and status, and how long they took; few of each."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str, int]] = Counter()
        self._seconds: Counter[tuple[str, str]] = Counter()

    def took(self, method: str, route: str, status: int, seconds: float) -> None:
        """One was answered."""
        self.answered[method, route, status] += 1
        self._seconds[method, route] += seconds  # type: ignore[assignment]  # a Counter adds what it is given

    def collect(self) -> Iterator[Metric]:
        """As Prometheus has it."""
        requests = CounterMetricFamily(
            "datacat_requests", "Requests that were answered.", labels=("method", "route", "status")
        )
        for (method, route, status), count in list(self.answered.items()):
            requests.add_metric((method, route, str(status)), count)
        seconds = CounterMetricFamily(
            "datacat_request_seconds",
            "Seconds that requests took, but for those of the fast lane.",
            labels=("method", "route"),
        )
        for (method, route), total in list(self._seconds.items()):
            seconds.add_metric((method, route), total)
        yield from (requests, seconds)


class Observed:
    """The application, with each request counted and known in the log.

    Args:
        app: the application.
        requests: where they are counted.
    """

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the application's whole life."""
        known: dict[str, Any] = scope  # type: ignore[assignment]  # the framework writes down its route there
        if known["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        # Without an answer nobody was there any more to hear it: nginx's status for that.
        status = 499

        async def noticing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with structlog.contextvars.bound_contextvars(**{REQUEST_ID: _id_of(scope)}):
            try:
                await self._app(scope, receive, noticing)
            finally:
                seconds = time.perf_counter() - began
                method = known["method"] if known["method"] in _METHODS else _NO_ROUTE
                route = known.get("path_template") or _NO_ROUTE
                self._requests.took(method, route, status, seconds)
                logger.debug(
                    "answered", method=method, route=route, status=status, ms=round(seconds * 1e3, 1)
                )


def request_id() -> str:
    """The id of the request that is being answered; empty outside of one."""
    found: str = structlog.contextvars.get_contextvars().get(REQUEST_ID, "")
    return found


def _id_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _GIVEN.fullmatch(text := value.decode("latin-1")):
            return text
    return secrets.token_hex(6)
