"""What one call costs the program, beside what its like costs in other libraries."""

import gc
import logging
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sentry_sdk
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult

import datacat
from datacat.client.transport import Reply
from datacat.testing import CapturingTransport

ROUNDS = 5


def time_calls(call: Callable[[], None], count: int = 20_000, pause: float = 0) -> tuple[float, float]:
    """Median and 99th percentile of single calls, in µs; of each the median of several rounds."""
    medians, tails = [], []
    for _ in range(ROUNDS):
        times = []
        gc.collect()
        for _ in range(count):
            if pause:
                time.sleep(pause)
            began = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - began)
        times.sort()
        medians.append(times[count // 2] / 1000)
        tails.append(times[count * 99 // 100] / 1000)
    return statistics.median(medians), statistics.median(tails)


def time_threads(call: Callable[[], None], threads: int, count: int = 5_000) -> tuple[float, float]:
    """Seconds of the whole divided by calls, and the 99th percentile of single calls, in µs."""
    times: list[int] = []

    def work() -> None:
        mine = []
        for _ in range(count):
            began = time.perf_counter_ns()
            call()
            mine.append(time.perf_counter_ns() - began)
        times.extend(mine)

    rates, tails = [], []
    for _ in range(ROUNDS):
        times.clear()
        workers = [threading.Thread(target=work) for _ in range(threads)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        rates.append((time.perf_counter() - began) / (threads * count) * 1e6)
        tails.append(sorted(times)[len(times) * 99 // 100] / 1000)
    return statistics.median(rates), statistics.median(tails)


class Sink(CapturingTransport):
    """Takes everything, keeps nothing: what is left is the program's own part."""

    def send(self, session_id: str, body: bytes, timeout: float) -> Any:  # noqa: ARG002  # the port's
        """Acknowledge; without a body it is a sign of life."""
        if not body:
            return Reply(200)
        last = body[body.rfind(b"\n", 0, -1) + 1 :]
        return Reply(200, last_seq=int(last[7 : last.index(b",")]))


class _Nowhere(LogRecordExporter):
    """Takes everything, keeps nothing."""

    def export(self, batch: Any) -> Any:  # noqa: ARG002  # theirs
        """Taken."""
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing to do."""

    def force_flush(self, timeout_millis: int = 0) -> bool:  # noqa: ARG002  # theirs
        """Nothing to do."""
        return True


@contextmanager
def subjects() -> Iterator[dict[str, Callable[[], None]]]:
    """One call of each library that records an event with a little data."""
    data = {"path": "a.txt"}
    journal = datacat.create_session(transport=Sink, journal=True)
    memory = datacat.create_session(transport=Sink, journal=False, max_buffer_bytes=10**9)
    sentry_sdk.init(transport=lambda _: None, default_integrations=False)
    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(_Nowhere()))
    logger = provider.get_logger("bench")
    plain = logging.getLogger("bench.file")
    plain.propagate = False
    plain.setLevel(logging.INFO)

    def emit() -> None:
        record = LogRecord(
            timestamp=time.time_ns(), body="saved", attributes=data, severity_number=SeverityNumber.INFO
        )
        logger.emit(record)

    with tempfile.NamedTemporaryFile() as file:
        handler = logging.FileHandler(file.name)
        plain.addHandler(handler)
        yield {
            "`log_event` into the journal": lambda: journal.log_event("saved", data, level="info"),
            "`log_event` into memory (lost when killed)": lambda: memory.log_event(
                "saved", data, level="info"
            ),
            "sentry-sdk `add_breadcrumb` (lost when killed)": lambda: sentry_sdk.add_breadcrumb(
                category="saved", data=data, level="info"
            ),
            "opentelemetry-sdk log `emit` (2,048 kept)": emit,
            "stdlib `logging.FileHandler`": lambda: plain.info("saved %s", data),
        }
        handler.close()
    provider.shutdown()
    journal.end()
    memory.end()


def measure() -> None:
    """A table of its own: each subject alone, spaced, and from several threads."""
    print(
        "| one call, µs | median / p99 | ours / theirs | a call a millisecond | 2 threads | 4 threads | 8 threads |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    ours = 0.0
    with subjects() as calls:
        for name, call in calls.items():
            median, tail = time_calls(call)
            ours = ours or median
            spaced, _ = time_calls(call, 300, pause=0.001)
            many = " | ".join("{:.1f} / {:.0f}".format(*time_threads(call, threads)) for threads in (2, 4, 8))
            print(
                f"| {name} | {median:.2f} / {tail:.2f} | {ours / median:.2f} | {spaced:.1f} | {many} |",
                flush=True,
            )
    print("\nTarget: ≤ 2 / ≤ 10. With threads: the whole time divided by calls / the p99 of single calls.\n")
