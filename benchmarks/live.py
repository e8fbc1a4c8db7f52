"""What readers of the live stream cost those who record: the same load with none and with ten."""

import contextlib
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.batches import request, send_all

ROUNDS = 7
READERS = 10

_READ = """
import selectors, socket, sys
host, port, path, readers = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
selector = selectors.DefaultSelector()
for _ in range(readers):
    connection = socket.create_connection((host, port))
    connection.sendall(f"GET {path} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode())
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    selector.register(connection, selectors.EVENT_READ)
print("reading", flush=True)
while True:
    for key, _ in selector.select():
        key.fileobj.recv(1 << 20)
"""


def measure(url: str, row: Callable[[str, str, str], None]) -> None:
    """Ingest beside ten readers of everything, and beside ten readers of the sessions that are written."""
    for what in ("all sessions, metrics too", "one session that is written"):
        ratios = []
        for _ in range(ROUNDS):
            sessions = [str(uuid.uuid4()) for _ in range(4)]
            alone = load(url, [str(uuid.uuid4()) for _ in range(4)])
            kinds = "kind=session,event,metric,state,problem"
            path = f"/api/live?{kinds}" if what.startswith("all") else f"/api/sessions/{sessions[0]}/live"
            for session in sessions:
                send_all(url, [request(session, 1)])
            with readers(url, path):
                ratios.append(load(url, sessions, begin=501) / alone)
        row(
            f"ingest beside {READERS} readers of {what} / without",
            f"{statistics.median(ratios):.2f}",
            "≥ 0.9",
        )


def load(url: str, sessions: list[str], begin: int = 1) -> float:
    """Batches of 500 on four connections; records a second."""
    logs = [[request(session, begin + 500 * n) for n in range(100)] for session in sessions]
    with ThreadPoolExecutor(4) as senders:
        began = time.perf_counter()
        list(senders.map(send_all, [url] * 4, logs))
    return 4 * 100 * 500 / (time.perf_counter() - began)


@contextlib.contextmanager
def readers(url: str, path: str) -> Iterator[None]:
    """Readers that read all they are sent, in a process of their own."""
    host, port = url.removeprefix("http://").split(":")
    process = subprocess.Popen(
        [sys.executable, "-c", _READ, host, port, path, str(READERS)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"reading\n"
    try:
        yield
    finally:
        process.kill()
        process.wait()
