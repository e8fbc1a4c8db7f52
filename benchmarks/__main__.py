"""``make bench``: every figure with its peer or its target, in one run; medians of several rounds."""

import gc
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import apsw

import datacat
from datacat.client.transport import HttpTransport, Reply, TransportError
from datacat.testing import CapturingTransport

ROUNDS = 5


def main() -> None:
    """Run everything and print it as Markdown."""
    print(f"# Results\n\n{platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()}, ")
    print(
        f"SQLite {apsw.sqlite_lib_version()}. Figures move from machine to machine: compare within a run.\n"
    )
    print("| what | figure | target or peer |\n| --- | --- | --- |")
    log_event()
    with tempfile.TemporaryDirectory() as folder:
        for durability in ("full", "normal"):
            with service(Path(folder) / f"{durability}.db", durability) as (url, process):
                batches(url, durability)
                if durability == "full":
                    drain(url)
                    growing(url)
                    row(
                        "resident memory of the service after all of it",
                        f"{resident_mib(process)} MiB",
                        "≤ 150 MiB",
                    )
        bytes_a_row(Path(folder) / "rows.db")


def row(what: str, figure: str, target: str) -> None:
    """One line of the table, at once."""
    print(f"| {what} | {figure} | {target} |", flush=True)


def time_calls(call: Callable[[], None], count: int = 20_000) -> tuple[float, float]:
    """Median and 99th percentile of single calls, in µs; of each the median of several rounds."""
    medians, tails = [], []
    for _ in range(ROUNDS):
        times = []
        gc.collect()
        for _ in range(count):
            began = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - began)
        times.sort()
        medians.append(times[count // 2] / 1000)
        tails.append(times[count * 99 // 100] / 1000)
    return statistics.median(medians), statistics.median(tails)


class Sink(CapturingTransport):
    """Takes everything, keeps nothing: what is left is the program's own part."""

    def send(self, session_id: str, body: bytes, timeout: float) -> Any:  # noqa: ARG002  # the port's
        """Acknowledge."""
        last = body[body.rfind(b"\n", 0, -1) + 1 :]
        return Reply(200, last_seq=int(last[7 : last.index(b",")]))


def log_event() -> None:
    """One call in the program's thread, beside the peers' like."""
    import logging

    import sentry_sdk
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import (
        BatchLogRecordProcessor,
        LogRecordExporter,
        LogRecordExportResult,
    )

    session = datacat.create_session(transport=Sink, max_buffer_bytes=10**9)
    data = {"path": "a.txt"}
    ours, tail = time_calls(lambda: session.log_event("saved", data, level="info"))
    row("`log_event`, median / p99", f"{ours:.2f} / {tail:.2f} µs", "≤ 2 / ≤ 10 µs")
    session.end()

    sentry_sdk.init(transport=lambda _: None, default_integrations=False)
    peer, tail = time_calls(lambda: sentry_sdk.add_breadcrumb(category="saved", data=data, level="info"))
    row(
        "sentry-sdk `add_breadcrumb` (lost when killed)",
        f"{peer:.2f} / {tail:.2f} µs",
        f"ours / theirs = {ours / peer:.2f}",
    )

    class _Nowhere(LogRecordExporter):
        def export(self, batch: Any) -> Any:  # noqa: ARG002  # theirs
            return LogRecordExportResult.SUCCESS

        def shutdown(self) -> None: ...

        def force_flush(self, timeout_millis: int = 0) -> bool:  # noqa: ARG002  # theirs
            return True

    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(_Nowhere()))
    logger = provider.get_logger("bench")
    from opentelemetry._logs import LogRecord, SeverityNumber

    def emit() -> None:
        logger.emit(
            LogRecord(
                timestamp=time.time_ns(), body="saved", attributes=data, severity_number=SeverityNumber.INFO
            )
        )

    peer, tail = time_calls(emit)
    row(
        "opentelemetry-sdk log `emit` (2,048 kept)",
        f"{peer:.2f} / {tail:.2f} µs",
        f"ours / theirs = {ours / peer:.2f}",
    )
    provider.shutdown()

    with tempfile.NamedTemporaryFile() as file:
        handler = logging.FileHandler(file.name)
        plain = logging.getLogger("bench.file")
        plain.propagate = False
        plain.setLevel(logging.INFO)
        plain.addHandler(handler)
        peer, tail = time_calls(lambda: plain.info("saved %s", data))
        handler.close()
    row("stdlib `logging.FileHandler`", f"{peer:.2f} / {tail:.2f} µs", f"ours / theirs = {ours / peer:.2f}")


@contextmanager
def service(database: Path, durability: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A service of its own, as a user starts it."""
    command = [sys.executable, "-m", "datacat", "serve", "--port", "0", "--database", str(database)]
    process = subprocess.Popen([*command, "--durability", durability], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    match = re.search(r"http\S+", process.stdout.readline())
    assert match is not None
    try:
        yield match[0], process
    finally:
        process.terminate()
        process.wait()


def resident_mib(process: "subprocess.Popen[str]") -> int:
    """Resident memory, from the kernel's own account."""
    match = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    return int(match[1]) // 1024 if match else 0


def request(session_id: str, first: int, count: int = 500) -> bytes:
    """One batch as bytes on the wire, half events and half metrics, so that the sender costs next to nothing."""
    now = time.time_ns() // 1000
    lines = [b'{"seq":1,"time":%d,"type":"start","product":"bench"}' % now] if first == 1 else []
    for seq in range(first + len(lines), first + count):
        kind = (
            b'"type":"event","name":"saved","level":"info","data":{"path":"a.txt","n":%d}}' % seq
            if seq % 2
            else b'"type":"metric","name":"fps","value":%d.5,"tags":["scene:menu"]}' % seq
        )
        lines.append(b'{"seq":%d,"time":%d,' % (seq, now + seq) + kind)
    body = b"\n".join(lines)
    head = (
        f"POST /api/sessions/{session_id}/records HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send_all(url: str, requests: list[bytes]) -> float:
    """Send one after the other on one connection; seconds."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        began = time.perf_counter()
        for each in requests:
            connection.sendall(each)
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65_536)
            assert b'"accepted":500' in answer, answer
        return time.perf_counter() - began


def batches(url: str, durability: str) -> None:
    """Batches of 500 into the durable store, four connections."""
    rates = []
    for _ in range(ROUNDS):
        logs = [
            [request(str(session), 1 + 500 * n) for n in range(100)]
            for session in (uuid.uuid4() for _ in range(4))
        ]
        with ThreadPoolExecutor(4) as senders:
            began = time.perf_counter()
            list(senders.map(send_all, [url] * 4, logs))
        rates.append(4 * 100 * 500 / (time.perf_counter() - began))
    row(
        f"batches of 500, 4 connections, durability {durability}",
        f"{statistics.median(rates):,.0f} records/s",
        "≥ 350,000",
    )


class Late(HttpTransport):
    """A server that is not there yet."""

    there = False

    def itself(self) -> "Late":
        """What makes a transport, made."""
        return self

    def send(self, session_id: str, body: bytes, timeout: float) -> Reply:
        """Send when it is."""
        if not self.there:
            raise TransportError("not yet")
        return super().send(session_id, body, timeout)


def drain(url: str) -> None:
    """From a program's buffer, through the shipper, into the durable store."""
    rates = []
    for _ in range(ROUNDS):
        server = Late(url)
        session = datacat.create_session(transport=partial(Late.itself, server), journal=True)
        for n in range(100_000):
            session.log_event("saved", {"n": n})
        server.there = True
        began = time.perf_counter()
        assert session.flush(60)
        rates.append(100_000 / (time.perf_counter() - began))
        session.end()
    row("drain of 100,000 records", f"{statistics.median(rates):,.0f} records/s", "≥ 50,000")


def growing(url: str) -> None:
    """One session up to a million records: its last tenth beside its first."""
    ratios = [one_growing(url) for _ in range(3)]
    row(
        "a session growing to 1,000,000 records: last tenth / first tenth",
        f"{statistics.median(ratios):.2f}",
        "≥ 0.9",
    )


def one_growing(url: str) -> float:
    """The rate of the last tenth beside that of the first."""
    session_id = str(uuid.uuid4())
    tenths = [
        send_all(url, [request(session_id, 1 + 500 * n) for n in range(200 * t, 200 * (t + 1))])
        for t in range(10)
    ]
    return tenths[0] / tenths[9]


def bytes_a_row(path: Path) -> None:
    """What a row costs on disk, indexes and all."""
    for kind, target in (("metric", 34), ("event", 76)):
        file = path.with_name(f"{kind}.db")
        from datacat.ingest.committer import commit
        from datacat.model.records import Batch, Origin
        from datacat.store.sqlite.writer import SqliteWriter
        from datacat.wire.codec import decode_batch

        writer = SqliteWriter(file, durability="normal")
        empty = file.stat().st_size
        session_id, count = str(uuid.uuid4()), 0
        for n in range(400):
            body = request(session_id, 1 + 500 * n).partition(b"\r\n\r\n")[2]
            records = [
                each for each in decode_batch(body) if each.__class__.__name__.lower() in (kind, "start")
            ]
            commit(writer, [Batch(session_id, Origin.API, records)], 1)
            count += len(records)
        writer.close()
        row(f"bytes on disk, a {kind}", f"{(file.stat().st_size - empty) / count:.1f}", f"≤ {target}")


if __name__ == "__main__":
    main()
