"""Single posts of one event, each durable before its answer: the fast lane beside the ordinary road.

The service has core 0 to itself and the sender core 1, as far as the machine is idle otherwise. The
floor is what no Python service on uvloop gets below: one that reads nothing and keeps nothing.
"""

import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.service import service
from benchmarks.watching import used

ROUNDS = 5
SECONDS = 2

SENDER = """
local requests, n = {}, 0
function init(ids)
  for i, id in ipairs(ids) do
    requests[i] = wrk.format("POST", "/api/sessions/" .. id .. "/events", {["Content-Type"] = "application/json"},
      '{"name":"saved","level":"info","data":{"path":"a.txt","n":17}}')
  end
end
function request()
  n = n % #requests + 1
  return requests[n]
end
"""

FLOOR = """
import asyncio, uvloop
ANSWER = b'HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: 15\\r\\n\\r\\n{"status":"ok"}'
class Floor(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(ANSWER)
async def main():
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()
uvloop.run(main())
"""


def measure(row: Callable[[str, str, str], None]) -> None:
    """The table's rows, or why there are none."""
    if shutil.which("wrk") is None or shutil.which("taskset") is None:
        row(
            "single posts of one event", "not measured: install wrk (apt install wrk) and taskset", "≥ 40,000"
        )
        return
    for sessions in (1, 32):
        for connections in (32, 128):
            lane, ordinary, floor = figures(connections, sessions)
            row(
                f"single posts of one event, {connections} connections, {sessions} "
                f"{'session' if sessions == 1 else 'sessions'}, durability full: fast lane · ordinary road · floor",
                f"{lane} · {ordinary} · {floor}",
                "≥ 40,000/s",
            )


def figures(connections: int, sessions: int) -> tuple[str, str, str]:
    """Posts a second and processor time of each, by turns so that all see the same machine."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        subjects: list[Subject] = []
        for number, flag in enumerate(("--fast-lane", "--no-fast-lane")):
            database = Path(folder) / f"{number}.db"
            started = service(database, "full", flag, pinned="taskset -c 0", quiet=True)
            subjects.append(Subject(*running.enter_context(started)))
        subjects.append(Subject(*running.enter_context(floor())))
        script = Path(folder) / "sender.lua"
        script.write_text(SENDER)
        ids = [subjects[0].create() for _ in range(sessions)]
        subjects[1].create(*ids)
        for _ in range(1 + ROUNDS):
            for subject in subjects:
                subject.run(script, connections, ids)
        return subjects[0].figure(), subjects[1].figure(), subjects[2].figure()


class floor:  # noqa: N801  # a context manager is a verb
    """The bare protocol, until the block ends."""

    def __enter__(self) -> "tuple[str, subprocess.Popen[str]]":
        command = ["taskset", "-c", "0", sys.executable, "-c", FLOOR]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip(), self.process

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


class Subject:
    """Something that takes posts, and how many it took."""

    def __init__(self, url: str, process: "subprocess.Popen[str]") -> None:
        self.url = url
        self.process = process
        self.rates: list[float] = []
        self.costs: list[float] = []

    def create(self, *ids: str) -> str:
        """Make sessions of these ids, or one."""
        session_id = ""
        for body in [{"id": each} for each in ids] or [{}]:
            asked = urllib.request.Request(f"{self.url}/api/sessions", json.dumps(body).encode())
            with urllib.request.urlopen(asked) as answer:
                session_id = json.load(answer)["session_id"]
        return session_id

    def run(self, script: Path, connections: int, ids: list[str]) -> None:
        """Once for a while."""
        command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(script)]
        before = used(self.process.pid)
        said = subprocess.run(
            [*command, self.url, "--", *ids], capture_output=True, text=True, check=True
        ).stdout
        seconds = used(self.process.pid) - before
        assert "Non-2xx" not in said, said
        requests = int(re.findall(r"(\d+) requests in", said)[0])
        self.rates.append(float(re.findall(r"Requests/sec:\s+(\S+)", said)[0]))
        self.costs.append(seconds / requests * 1e6)

    def figure(self) -> str:
        """Medians; the first round, in which all is new, does not count."""
        return f"{statistics.median(self.rates[1:]):,.0f}/s, {statistics.median(self.costs[1:]):.0f} µs"


if __name__ == "__main__":
    measure(lambda what, figure, target: print(f"| {what} | {figure} | {target} |", flush=True))
