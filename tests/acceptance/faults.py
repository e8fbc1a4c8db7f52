"""What goes wrong with machines, on purpose."""

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest


def not_here(what: str) -> None:
    """Skip where the fault cannot be made; where every test must run, that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and in CI nothing may be skipped")
    pytest.skip(what)


@contextmanager
def small_disk(at: Path, mebibytes: int) -> Iterator[Path]:
    """A file system of its own, soon full."""
    at.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(at)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        not_here(f"a small file system cannot be mounted: {done.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def resident_bytes(pid: int) -> int:
    """A process's resident memory, from the kernel's own account."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int) -> int:
    """How many files and connections a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


@contextmanager
def little_memory(mebibytes: int) -> Iterator[list[str]]:
    """A command's beginning, under which it may have so much memory and is killed by the kernel beyond it."""
    name = f"datacat-test-{uuid4()}"
    v2 = Path("/sys/fs/cgroup/cgroup.controllers")
    group = Path("/sys/fs/cgroup", name) if v2.exists() else Path("/sys/fs/cgroup/memory", name)
    limit = "memory.max" if v2.exists() else "memory.limit_in_bytes"
    try:
        group.mkdir()
        (group / limit).write_text(str(mebibytes * 1024 * 1024))
    except OSError as error:
        not_here(f"a control group cannot be made: {error}")
    try:
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            return group.rmdir()
        except OSError:  # the kernel has not quite let go of the last process
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def bound_by_permissions() -> list[str]:
    """A command's beginning, under which permissions bind the superuser too."""
    if os.geteuid() != 0:
        return []
    powers = "-dac_override,-dac_read_search"
    return ["setpriv", f"--inh-caps={powers}", f"--bounding-set={powers}"]


class FaultyProxy:
    """Stands between a client and a service, and does to each connection what ``faults`` says next.

    Faults: ``refuse`` (closed at once), ``cut`` (closed in the middle of the request), ``lose`` (the
    service answers, and the answer is lost), ``slow`` (half a second), and ``500`` or ``503`` (an
    answer of its own). When there are no more, it is a plain proxy.
    """

    def __init__(self, target_port: int, faults: Iterable[str]) -> None:
        self._target = ("127.0.0.1", target_port)
        self._faults = list(faults)
        self.done: list[str] = []
        self._cut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.close()

    def cut(self) -> None:
        """Nothing passes from here on."""
        self._cut.set()

    def mend(self) -> None:
        """All passes again."""
        self._cut.clear()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while request := _message(connection):
                fault = self._faults.pop(0) if self._faults else ""
                if fault:
                    self.done.append(fault)
                if fault == "refuse" or self._cut.is_set():
                    return
                if fault == "slow":
                    time.sleep(0.5)
                if fault in ("500", "503"):
                    retry = b"Retry-After: 1\r\n" if fault == "503" else b""
                    connection.sendall(
                        b"HTTP/1.1 %b x\r\n%bContent-Length: 0\r\n\r\n" % (fault.encode(), retry)
                    )
                    continue
                with socket.create_connection(self._target) as service:
                    if fault == "cut":
                        service.sendall(request[: len(request) // 2])
                        return
                    service.sendall(request)
                    answer = _message(service)
                    if fault == "lose":
                        return
                    connection.sendall(answer)


def _message(connection: socket.socket) -> bytes:
    """One HTTP message with a Content-Length; empty when the other side has gone."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    match = re.search(rb"(?i)content-length: *(\d+)", head)
    missing = (int(match[1]) if match else 0) - len(body)
    while missing > 0:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        received += piece
        missing -= len(piece)
    return received
