"""Plain synchronous calls of the REST API: no thread, no buffer, errors raised."""

import os
from collections.abc import Generator, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
import urllib3

from datacat.client.arguments import checked_key, checked_url
from datacat.client.encode import encode_data
from datacat.client.follow import LiveMessage, follow
from datacat.client.transport import USER_AGENT, reason_of
from datacat.model.errors import InvalidInput, RequestFailed
from datacat.wire.sse import MEDIA_TYPE

JsonObject = dict[str, Any]

_LONGEST_REFUSAL: Final = 65_536

_SILENCE: Final = 45.0
"""Seconds without a byte after which a stream is taken for dead: three signs of life that did not come."""


class DatacatClient:
    """One service; every method is one request and its answer.

    Args:
        url: where the service is.
        key: what it asks for, where it does; by default ``DATACAT_KEY``.
        timeout: seconds to wait for it.

    Raises:
        ValueError: ``url`` or ``key`` cannot be one; from a method, an id of a session that cannot be one.
        RequestFailed: from every method, when the service refuses or does not answer.
    """

    def __init__(
        self, url: str = "http://localhost:8080", *, key: str | None = None, timeout: float = 10.0
    ) -> None:
        self.url = checked_url(url).rstrip("/")
        self._key = checked_key(key or os.environ.get("DATACAT_KEY"))
        self._timeout = timeout
        self._pool = urllib3.PoolManager(retries=False, timeout=timeout)

    def register_session(self, product: str | None = None, version: str | None = None, **fields: Any) -> str:
        """Create a session (``fields``: id, environment, hostname, machine_id, pid, tags); its id."""
        given = {"product": product, "version": version, **fields}
        body = {name: value for name, value in given.items() if value is not None}
        session_id: str = self._call("POST", "/api/sessions", body)["session_id"]
        return session_id

    def get_session(self, session_id: str, *, events: bool = True, metrics: bool = True) -> JsonObject:
        """The whole session, or without its lists."""
        query = f"?events={int(events)}&metrics={int(metrics)}"
        session: JsonObject = self._call("GET", self._path(session_id) + query)
        return session

    def get_sessions(
        self, *, limit: int = 100, cursor: str | None = None, **filters: str | Iterable[str] | None
    ) -> JsonObject:
        """A page of ``sessions``, newest first; ``next`` is the cursor of the page behind it.

        ``counts`` come without a cursor alone.

        ``filters`` are the API's: status, product, version, environment, hostname, tag, event, state, text, from,
        to, sort; several of one where that is a list; None asks for all.
        """
        given = {"limit": str(limit), "cursor": cursor, **filters}
        query = urlencode({name: value for name, value in given.items() if value is not None}, doseq=True)
        page: JsonObject = self._call("GET", f"/api/sessions?{query}")
        return page

    def get_dossier(self, session_id: str) -> JsonObject:
        """How a session went, with the evidence; the id's first digits will do where no other begins so."""
        dossier: JsonObject = self._call("GET", self._path(session_id, "dossier"))
        return dossier

    def get_problems(self, *, limit: int = 100, **filters: str | None) -> list[JsonObject]:
        """Hangs, crashes and losses of contact in any session, the one heard of last first.

        ``filters`` are the API's: product, version, environment; None asks for all.
        """
        given = {"limit": str(limit), **filters}
        query = urlencode({name: value for name, value in given.items() if value is not None})
        problems: list[JsonObject] = self._call("GET", f"/api/problems?{query}")
        return problems

    def follow(
        self,
        session_id: str | None = None,
        *,
        kinds: Iterable[str] = (),
        level: str | None = None,
        product: str | None = None,
        version: str | None = None,
        environment: str | None = None,
        after: str | None = None,
        last: int = 0,
    ) -> Generator[LiveMessage, None, None]:
        """What happens in one session, or in all of them, as it happens, for ever.

        When the connection goes, it connects again and goes on behind the last message; of a session nothing is
        lost so, and of all sessions a message ``gap`` says what was.

        Args:
            session_id: the session, or the first digits of its id; None for all.
            kinds: session, event, metric, state, problem; without any, all, but metrics of all sessions.
            level: of events, and what is worse.
            product: of all sessions, those of this product.
            version: of this version.
            environment: of this environment.
            after: the id of the last message that is known.
            last: of one session, begin with so many of each kind that are there already.

        Raises:
            RequestFailed: the first connection cannot be had, or a later one is refused in a way that waiting does
                not mend.
        """
        given = {"kind": ",".join(kinds), "level": level, "last": last or None}
        given |= {"product": product, "version": version, "environment": environment}
        query = urlencode({name: value for name, value in given.items() if value})
        path = "/api/live" if session_id is None else self._path(session_id, "live")
        return follow(lambda headers: self._stream(f"{path}?{query}", headers), after)

    def update_state(self, session_id: str, state: Mapping[str, Any]) -> None:
        """Merge ``state`` into the session's."""
        self._call("POST", self._path(session_id, "state"), state)

    def log_event(
        self,
        session_id: str,
        name: str,
        data: Mapping[str, Any] | None = None,
        *,
        level: str = "info",
        message: str | None = None,
    ) -> None:
        """Record one event."""
        body = {"name": name, "data": data or {}, "level": level, "message": message}
        self._call("POST", self._path(session_id, "events"), body)

    def log_metric(
        self,
        session_id: str,
        name: str,
        value: float,
        tags: Iterable[str] = (),
        *,
        kind: str = "gauge",
        unit: str | None = None,
    ) -> None:
        """Record one metric."""
        body = {"name": name, "value": value, "tags": list(tags), "kind": kind, "unit": unit}
        self._call("POST", self._path(session_id, "metrics"), body)

    def heartbeat(self, session_id: str) -> None:
        """The program's main loop is alive."""
        self._call("POST", self._path(session_id, "heartbeat"))

    def end_session(self, session_id: str) -> None:
        """The program says goodbye."""
        self._call("POST", self._path(session_id, "end"))

    def get_all_sessions(self) -> list[JsonObject]:
        """Every session whole; for a large server read the export as a stream instead."""
        sessions: list[JsonObject] = self._call("GET", "/api/grafana/sessions")
        return sessions

    def _path(self, session_id: str, call: str = "") -> str:
        # Servers and proxies read these as another path, however they are quoted.
        if "/" in session_id or not session_id.strip("."):
            raise InvalidInput(
                "bad_id",
                f"id is no session's, found {session_id!r}: datacat sessions shows those that there are",
                field="id",
                found=repr(session_id[:80]),
                expected="a session's id, or its first digits",
            )
        return f"/api/sessions/{quote(session_id, safe='')}" + (f"/{call}" if call else "")

    def _headers(self) -> dict[str, str]:
        authorization = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return {"User-Agent": USER_AGENT, **authorization}

    def _stream(self, path: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        timeout = urllib3.Timeout(connect=self._timeout, read=_SILENCE)
        headers = {**self._headers(), **headers}
        try:
            response = self._pool.request(
                "GET",
                self.url + path,
                headers=headers,
                timeout=timeout,
                preload_content=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._no_answer("GET", path, error) from error
        if response.status != 200 or not response.headers.get("Content-Type", "").startswith(MEDIA_TYPE):
            answer = _decoded(response.read(_LONGEST_REFUSAL))
            response.close()
            raise self._refusal("GET", path, response.status, answer)
        return response

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {**self._headers(), "Content-Type": "application/json"}
        data = None if body is None else encode_data(body)
        try:
            response = self._pool.request(method, self.url + path, body=data, headers=headers, redirect=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._no_answer(method, path, error) from error
        answer = _decoded(response.data)
        if response.status != 200 or answer is None:
            raise self._refusal(method, path, response.status, answer)
        return answer

    def _no_answer(self, method: str, path: str, error: Exception) -> RequestFailed:
        return RequestFailed(
            f"{self.url} does not answer: {reason_of(error)}. "
            "Does the service run there? datacat doctor looks for what is wrong",
            request=f"{method} {self.url}{path}",
        )

    def _refusal(self, method: str, path: str, status: int, answer: Any) -> RequestFailed:
        problem = answer if isinstance(answer, dict) else {}
        foreign = f"{self.url} answers {status}, and not as datacat does: is the URL right?"
        return RequestFailed(
            str(problem.get("detail") or foreign),
            request=f"{method} {self.url}{path}",
            status=status,
            code=str(problem.get("code", "")),
        )


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
