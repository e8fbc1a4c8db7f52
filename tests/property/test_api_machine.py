"""The whole service over SQLite, and over the model store: the same calls over HTTP, the same answers."""

import asyncio
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import pytest
import urllib3
import uvicorn
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from litestar import Litestar
from msgspec import json
from tests.contract.model_store import ModelStore

from datacat.api.app import create_app
from datacat.api.requests import Requests
from datacat.grafana import flat
from datacat.grafana.export import export_sessions
from datacat.ingest.committer import Committer
from datacat.ingest.throttle import Throttle
from datacat.query.live import Hub
from datacat.store.sqlite.reader import SqliteReader
from datacat.store.sqlite.writer import SqliteWriter
from datacat.testing import FakeClock
from datacat.wire.timestamps import rfc3339

IDS = [f"01934f5e-0000-7000-8000-00000000000{n}" for n in range(3)]
BEGIN = FakeClock().now()
MOMENTS = st.integers(-2, 12).map(lambda seconds: rfc3339(BEGIN + seconds * 1_000_000))
TEXTS = st.text("ab", min_size=1, max_size=2)
LEVELS = st.sampled_from(["debug", "info", "warning", "error", "fatal"])
WATCHED = st.sampled_from(["application_appears_hung", "application_recovered", "contact_lost"])

PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    "session_id": st.sampled_from([*IDS, IDS[0][:8], "01934f5e-0000-7000-8000-00000000000f"]),
    "session": st.sampled_from(IDS),
    "product": TEXTS,
    "version": TEXTS,
    "from": MOMENTS,
    "to": MOMENTS,
    "at": MOMENTS,
    "status": st.sampled_from(["active", "hung,crashed", "ended"]),
    "limit": st.integers(1, 5),
    "after": st.integers(0, 6),
    "before": st.integers(0, 6),
    "name": TEXTS | WATCHED,
    "tag": TEXTS,
    "level": LEVELS,
    "events": st.booleans(),
    "metrics": st.booleans(),
    "last": st.integers(1, 3),
    "bucket": st.sampled_from(["hour", "day", "week"]),
    "by": st.sampled_from(["version", "environment"]),
    "aggregate": st.sampled_from(["avg", "min", "max", "sum", "count"]),
    "max_points": st.sampled_from([1, 10, 100]),
    "hostname": TEXTS,
    "event": TEXTS,
    "state": st.sampled_from(["a=a", "a.b=1", "/b/a=b"]),
    "text": st.sampled_from(["aa", "ab ba", "application hung"]),
    "sort": st.sampled_from(["newest", "oldest", "ended", "longest", "hung"]),
    "kind": st.sampled_from(["hang", "crash", "lost", "event", "metric", "product", "version"]),
}
OF_THE_PROCESS = {"/metrics", "/healthz", "/readyz", "/openapi.json"}
"""What is not answered from the store; nor are streams, which have no end."""


class NoKeys:
    """Nobody made one."""

    def find(self, _: str) -> None:
        """None is known."""

    def any(self) -> bool:
        """None was made."""
        return False

    def close(self) -> None:
        """Nothing to let go of."""


class Exchangeable:
    """Stands for a store, or a clock: a service takes long to start, and each example wants new ones."""

    def __init__(self, behind: Any) -> None:
        self.behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


class Served:
    """A service in this process, on a port of its own."""

    def __init__(self) -> None:
        store = ModelStore()
        self.writer, self.reader = Exchangeable(store), Exchangeable(store)
        self.clock = clock = Exchangeable(FakeClock())
        self.app = create_app(
            ingest=Committer(lambda: self.writer, clock),
            open_reader=lambda: self.reader,
            open_keys=NoKeys,
            clock=clock,
            hub=Hub(clock),
            throttle=Throttle(),
            requests=Requests(),
            more_handlers=[export_sessions, *flat.HANDLERS],
        )
        # That it is TCP must be said, or asyncio waits for more before it sends an answer's last piece.
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_config=None, date_header=False))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._pool = urllib3.HTTPConnectionPool(
            "127.0.0.1", self._listener.getsockname()[1], retries=False, timeout=30
        )

    def _run(self) -> None:
        asyncio.run(self._server.serve([self._listener]))

    def call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
        """The status and the answer."""
        response = self._pool.request(method, path, body=body, headers=headers)
        return response.status, json.decode(response.data)

    def close(self) -> None:
        """Stop, and wait for it."""
        self._pool.close()
        self._server.should_exit = True
        self._thread.join()


def reads(app: Litestar) -> dict[str, list[tuple[str, bool]]]:
    """The calls that read, with their parameters' names and whether they must be there."""
    document = app.openapi_schema.to_schema()
    return {
        path: [(each["name"], each.get("required", False)) for each in item["get"].get("parameters", [])]
        for path, item in document["paths"].items()
        if "get" in item and path not in OF_THE_PROCESS and not path.endswith("/live")
    }


class ApiMachine(RuleBasedStateMachine):
    services: ClassVar[list[Served]] = []
    reads: ClassVar[dict[str, list[tuple[str, bool]]]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        for service in self.services:
            service.clock.behind = self.clock
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "store.db"
        sqlite, model = self.services
        sqlite.writer.behind, sqlite.reader.behind = (
            SqliteWriter(path, durability="normal"),
            SqliteReader(path),
        )
        model.writer.behind = model.reader.behind = ModelStore()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> None:
        sent = body if isinstance(body, bytes | None) else json.encode(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        answers = [service.call(method, path, sent, names) for service in self.services]
        assert answers[0] == answers[1], (method, path, body)
        assert answers[0][0] < 500, answers[0]

    @rule(session_id=st.sampled_from(IDS), product=st.none() | TEXTS, version=st.none() | TEXTS)
    def begin(self, session_id: str, product: str | None, version: str | None) -> None:
        self.ask("POST", "/api/sessions", {"id": session_id, "product": product, "version": version})

    @rule(
        session_id=st.sampled_from(IDS),
        name=TEXTS | WATCHED,
        level=LEVELS,
        data=st.dictionaries(TEXTS, TEXTS),
    )
    def log_event(self, session_id: str, name: str, level: str, data: dict[str, str]) -> None:
        self.ask("POST", f"/api/sessions/{session_id}/events", {"name": name, "level": level, "data": data})

    @rule(
        session_id=st.sampled_from(IDS),
        name=TEXTS,
        value=st.integers(-9, 9),
        tags=st.lists(TEXTS, max_size=1),
    )
    def log_metric(self, session_id: str, name: str, value: int, tags: list[str]) -> None:
        self.ask("POST", f"/api/sessions/{session_id}/metrics", {"name": name, "value": value, "tags": tags})

    @rule(
        session_id=st.sampled_from(IDS),
        change=st.dictionaries(TEXTS, st.none() | TEXTS | st.dictionaries(TEXTS, TEXTS)),
        media_type=st.sampled_from(["application/json", "application/merge-patch+json"]),
    )
    def change_state(self, session_id: str, change: dict[str, Any], media_type: str) -> None:
        self.ask("POST", f"/api/sessions/{session_id}/state", change, Content_Type=media_type)

    @rule(session_id=st.sampled_from(IDS), call=st.sampled_from(["heartbeat", "heartbeat", "end"]))
    def say(self, session_id: str, call: str) -> None:
        self.ask("POST", f"/api/sessions/{session_id}/{call}")

    @rule(
        session_id=st.sampled_from(IDS),
        origin=st.sampled_from(["app", "watchdog"]),
        first=st.integers(1, 4),
        lines=st.lists(
            st.sampled_from(
                [
                    {"type": "start", "product": "a", "version": "b"},
                    {"type": "event", "name": "a", "level": "error"},
                    {"type": "event", "name": "application_appears_hung", "data": {"monitor": "ui"}},
                    {"type": "metric", "name": "a", "value": 1.5},
                    {"type": "metric", "name": 7, "value": 1.5},
                    {"type": "state", "merge": {"a": {"b": 1}}, "remove": ["/b"]},
                    {"type": "exit", "cause": "signal", "signal": 11},
                ]
            ),
            max_size=4,
        ),
    )
    def send_a_batch(self, session_id: str, origin: str, first: int, lines: list[dict[str, Any]]) -> None:
        time = self.clock.now() // 1_000_000 * 1_000_000
        body = b"\n".join(
            json.encode({"seq": seq, "time": time + seq, **line}) for seq, line in enumerate(lines, first)
        )
        self.ask("POST", f"/api/sessions/{session_id}/records", body, Datacat_Origin=origin)

    @rule(seconds=st.integers(1, 4))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(data=st.data())
    def read_everything(self, data: st.DataObject) -> None:
        for path, parameters in self.reads.items():
            asked = {
                name: data.draw(PARAMETERS[name], label=name)
                for name, must_be in parameters
                if name in PARAMETERS and (must_be or data.draw(st.integers(0, 2)) == 0)
            }
            target = path.format(session_id=asked.pop("session_id", ""))
            self.ask("GET", f"{target}?{urlencode(asked)}")

    def teardown(self) -> None:
        self.services[0].reader.behind.close()
        self.services[0].writer.behind.close()
        self.folder.cleanup()


@pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")
def test_every_call_answers_the_same_over_sqlite_and_over_the_model():
    ApiMachine.services = [Served(), Served()]
    ApiMachine.reads = reads(ApiMachine.services[0].app)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)  # as the service does: its threads wait for each other all the time
    try:
        _run_the_machine()
    finally:
        sys.setswitchinterval(interval)
        for service in ApiMachine.services:
            service.writer.behind = service.reader.behind = ModelStore()
            service.close()


def _run_the_machine() -> None:
    run_state_machine_as_test(
        ApiMachine,
        settings=settings(
            max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
