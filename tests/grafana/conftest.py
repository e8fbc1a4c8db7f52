"""A live service that has seen enough for every panel to show something."""

import json
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tests.conftest import Service

SECOND = 1_000_000


class Recorded:
    """A service with recorded programs, and a way to ask it what Grafana would."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.now = time.time_ns() // 1_000
        self.sessions: dict[str, str] = {}
        for number, version in enumerate(("1.0", "1.1", "1.1")):
            self.record(f"ended {number}", version, {"type": "end"}, began=3_600 * (2 * number + 1))
        self.record("crashed", "1.0", {"type": "exit", "cause": "signal", "message": "killed by SIGSEGV"})
        hung = {"type": "event", "name": "application_appears_hung", "level": "error"}
        stack = {
            "thread": "MainThread",
            "frames": [{"file": "e.py", "line": 3, "function": "save", "code": ""}],
        }
        data = {"monitor": "main", "seconds_since_heartbeat": 5, "kind": "blocked", "stacks": [stack]}
        recovered = {
            "type": "event",
            "name": "application_recovered",
            "data": {"monitor": "main", "seconds_hung": 9},
        }
        self.record("recovered", "1.0", {**hung, "data": data}, {**recovered, "later": 9}, {"type": "end"})
        self.record("hung", "1.1", {**hung, "data": data})
        self.record("active", "1.1")

    def record(self, name: str, version: str, *last: dict[str, Any], began: int = 300) -> None:
        """One program: what all do, and then ``last``."""
        session_id = self.sessions[name] = str(uuid.uuid4())
        begin = self.now - began * SECOND
        start = {"product": "editor", "version": version, "environment": "demo", "hostname": "here", "pid": 7}
        records: list[dict[str, Any]] = [
            {"type": "start", **start},
            {
                "type": "state",
                "merge": {"window": {"width": 800, "title": "a.txt"}, "recent": ["b"], "ok": None},
            },
            *({"type": "metric", "name": "fps", "value": 50 + n, "tags": ["scene:menu"]} for n in range(20)),
            {"type": "metric", "name": "memory", "value": 1e9, "unit": "By"},
            {"type": "event", "name": "saved", "level": "info", "data": {"path": "a.txt"}},
            {"type": "event", "name": "careful", "level": "warning", "message": "nearly full"},
            *last,
        ]
        lines = []
        for seq, record in enumerate(records, 1):
            moment = begin + seq * SECOND + record.pop("later", 0) * SECOND
            lines.append(json.dumps({"seq": seq, "time": moment, **record}))
        self.call(f"/api/sessions/{session_id}/records", "\n".join(lines))

    def call(self, path: str, body: Any = None) -> Any:
        """A JSON answer."""
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        kind = "application/x-ndjson" if isinstance(body, str) else "application/json"
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def text(self, path: str) -> str:
        """An answer that is no JSON."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            text: str = answer.read().decode()
            return text

    def ask(self, path: str, **params: Any) -> Any:
        """What is answered to a query."""
        return self.call(f"{path}?{urllib.parse.urlencode(params, doseq=True)}")

    def flat(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Rows of a flat endpoint."""
        rows: list[dict[str, Any]] = self.ask(f"/api/grafana/flat/{path}", **params)
        return rows


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    service = Service(tmp_path_factory.mktemp("grafana") / "datacat.db", "--durability", "normal")
    yield Recorded(service.url)
    service.stop()
