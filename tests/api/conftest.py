"""What the API tests speak with: plain HTTP, as any client would."""

import time
from typing import Any

import msgspec
import pytest
import urllib3


class Api:
    """Requests to one service, answers decoded."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pool = urllib3.PoolManager(retries=False, timeout=30)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        response = self.raw(method, path, body, **headers)
        return response.status, msgspec.json.decode(response.data)

    def raw(self, method: str, path: str, body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.pool.request(method, self.url + path, body=data, headers=names)

    def create(self, **fields: Any) -> str:
        status, answer = self.call("POST", "/api/sessions", fields or None)
        assert status == 200
        session_id: str = answer["session_id"]
        return session_id

    def get(self, session_id: str, query: str = "") -> dict[str, Any]:
        status, session = self.call("GET", f"/api/sessions/{session_id}{query}")
        assert status == 200
        assert isinstance(session, dict)
        return session


@pytest.fixture(params=["shared_service", "ordinary_service"], ids=["fast lane", "ordinary road"])
def api(request):
    """One service after the other: whichever road a request takes, the answer is the same."""
    return Api(request.getfixturevalue(request.param).url)


def wait_for(condition):
    for _ in range(1_000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to be")
