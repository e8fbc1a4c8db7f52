"""What a parent says of its child's end."""

import resource
import sys
from typing import Any

from msgspec import Raw

from datacat.client.death import Signs, verdict
from datacat.client.encode import encode_data
from datacat.model.records import Exit


def exit_record(
    time: int,
    status: int,
    usage: resource.struct_rusage,
    *,
    wall_seconds: float,
    least_rss_bytes: int = 0,
    out_of_memory: bool = False,
    stderr: str | None = None,
) -> Exit:
    """The exit record of a process.

    Args:
        time: when, in microseconds since the epoch.
        status: how it ended, as ``os.wait4`` says it.
        usage: what it and its own children used.
        wall_seconds: how long it ran.
        least_rss_bytes: see :func:`resource_usage`.
        out_of_memory: whether the kernel killed for want of memory where it ran.
        stderr: the last that it printed there; None where that was left alone.
    """
    seen = verdict(Signs(status, out_of_memory=out_of_memory))
    data: dict[str, Any] = {
        **seen.data,
        "wall_seconds": round(wall_seconds, 3),
        "resource_usage": resource_usage(usage, least_rss_bytes),
    }
    if stderr is not None:
        data["stderr"] = stderr
    message = f"{seen.message} after {wall_seconds:.1f} s"
    return Exit(time=time, cause=seen.cause, message=message, data=Raw(encode_data(data)))


def resource_usage(usage: resource.struct_rusage, least_rss_bytes: int = 0) -> dict[str, float]:
    """What was used, by names that carry their units; see ``man 2 getrusage``.

    A process counts the memory of its parent as its own until it becomes another program, so its
    most is not known where it is no more than ``least_rss_bytes``: then it is left out.
    """
    used = {
        "user_seconds": round(usage.ru_utime, 6),
        "system_seconds": round(usage.ru_stime, 6),
        "major_page_faults": usage.ru_majflt,
        "minor_page_faults": usage.ru_minflt,
        "voluntary_context_switches": usage.ru_nvcsw,
        "involuntary_context_switches": usage.ru_nivcsw,
    }
    most = max_rss_bytes(usage)
    return {"max_rss_bytes": most, **used} if most > least_rss_bytes else used


def max_rss_bytes(usage: resource.struct_rusage) -> int:
    """The most memory that was resident at any time."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
