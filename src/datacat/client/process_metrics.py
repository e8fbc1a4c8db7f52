"""What a process uses, sampled from outside.

Names and units are those of OpenTelemetry's semantic conventions for process metrics
(https://opentelemetry.io/docs/specs/semconv/system/process-metrics/); an attribute becomes a tag.
What is counted there since the process began is recorded here as the increment since the last
sample, as all counters are.
"""

from collections.abc import Iterator
from typing import NamedTuple

import psutil

from datacat.model.records import Kind


class Measured(NamedTuple):
    """One metric."""

    name: str
    value: float
    kind: Kind
    unit: str
    tags: list[str]


class ProcessMetrics:
    """Samples one process; what the system does not tell is left out.

    Args:
        pid: of the process.
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._process.cpu_percent()  # the first one only begins to count
        self._before: dict[tuple[str, str], float] = {}

    def sample(self) -> list[Measured]:
        """All there is to say now; empty when the process has gone."""
        try:
            with self._process.oneshot():
                return list(self._all())
        except psutil.Error:
            return []

    def _all(self) -> Iterator[Measured]:
        process = self._process
        times = process.cpu_times()
        yield from self._counted("process.cpu.time", times.user, "s", "cpu.mode:user")
        yield from self._counted("process.cpu.time", times.system, "s", "cpu.mode:system")
        utilization = process.cpu_percent() / 100 / (psutil.cpu_count() or 1)
        yield Measured("process.cpu.utilization", utilization, "gauge", "1", [])
        memory = process.memory_info()
        yield Measured("process.memory.usage", memory.rss, "gauge", "By", [])
        yield Measured("process.memory.virtual", memory.vms, "gauge", "By", [])
        yield Measured("process.thread.count", process.num_threads(), "gauge", "{thread}", [])
        switches = process.num_ctx_switches()
        name = "process.context_switches"
        unit = "{context_switch}"
        yield from self._counted(name, switches.voluntary, unit, "process.context_switch.type:voluntary")
        yield from self._counted(name, switches.involuntary, unit, "process.context_switch.type:involuntary")
        if hasattr(process, "num_fds"):
            count = process.num_fds()
            yield Measured("process.unix.file_descriptor.count", count, "gauge", "{file_descriptor}", [])
        if hasattr(process, "io_counters"):
            io = process.io_counters()
            yield from self._counted("process.disk.io", io.read_bytes, "By", "disk.io.direction:read")
            yield from self._counted("process.disk.io", io.write_bytes, "By", "disk.io.direction:write")

    def _counted(self, name: str, total: float, unit: str, tag: str) -> Iterator[Measured]:
        before = self._before.get((name, tag))
        self._before[name, tag] = total
        if before is not None:
            yield Measured(name, max(0.0, total - before), "counter", unit, [tag])
