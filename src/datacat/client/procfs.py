"""What the system says of a process, where it has ``/proc``. Of the standard library alone.

Nothing here raises: where the system does not say, the answer is None, or empty.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_SPINNING = 0.1
"""The share of a processor from which on a thread works. One that waits wants nothing; one that works has
to share the interpreter's lock with others that do."""

_PF_EXITING = 4  # linux/sched.h

STOPPED = frozenset("Tt")
"""States of a process that was stopped, by a signal or by who traces it."""


class Processor(NamedTuple):
    """What a thread has had of the processor, in seconds since it began."""

    at: float
    """When that was, by the monotonic clock."""
    used: float
    wanted: float
    """Used, or waited for because others had it: on a loaded machine, who works is told by this alone."""


def processor(native_thread: int, process: "int | str" = "self") -> Processor | None:
    """See ``Documentation/scheduler/sched-stats.rst`` in Linux."""
    try:
        fields = Path(f"/proc/{process}/task/{native_thread}/schedstat").read_bytes().split()
        used, waited = int(fields[0]) / 1e9, int(fields[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
    return Processor(time.monotonic(), used, used + waited)


def kind_of(before: Processor | None, after: Processor | None, silent_for: float) -> str:
    """Whether a thread was ``blocked`` or ``spinning`` in its silence; ``unknown`` where nobody says.

    What it wanted may have been wanted before its silence where it was looked at before that, too; where then
    the one is as possible as the other, nobody says.

    >>> before = Processor(0.0, 7.0, 9.0)
    >>> kind_of(before, Processor(4.0, 7.0, 9.0), 4), kind_of(before, Processor(4.0, 8.0, 12.9), 4)
    ('blocked', 'spinning')
    >>> kind_of(before, Processor(4.0, 9.0, 11.0), 2), kind_of(before, Processor(4.0, 9.9, 12.9), 2)
    ('unknown', 'spinning')
    """
    if before is None or after is None or after.at <= before.at:
        return "unknown"
    began = max(before.at, after.at - silent_for)
    at_most = after.wanted - before.wanted
    at_least = at_most - (began - before.at)
    enough = _SPINNING * (after.at - began)
    if at_most < enough:
        return "blocked"
    return "spinning" if at_least >= enough else "unknown"


def status(process: "int | str" = "self") -> Mapping[str, str]:
    """The fields of ``/proc/<process>/status``."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def traced(process: "int | str" = "self") -> bool:
    """Whether a debugger holds the process."""
    return status(process).get("TracerPid", "0") != "0"


def state(process: int) -> str:
    """The letter that stands for what the process does: see ``man 5 proc``, ``/proc/pid/stat``."""
    fields = _stat(process)
    return fields[0] if fields else ""


def exiting(process: int) -> bool:
    """Whether it is gone or about to be: the kernel takes it apart, and its other answers may be wrong."""
    fields = _stat(process)
    return len(fields) <= 6 or bool(int(fields[6]) & _PF_EXITING)


def start_time(process: int) -> int:
    """When it began, in the system's ticks since its own start: no two processes of one number share it."""
    fields = _stat(process)
    return int(fields[19]) if len(fields) > 19 else 0


def memory(process: int) -> tuple[str, ...]:
    """Where its code and its stack begin: another program in the same process has others.

    Empty when it is gone, or is none of ours to look into.
    """
    found = tuple(_stat(process)[23:26])
    return found if found[2:] != ("0",) else ()


def wait_status(process: int) -> int | None:
    """How a process that is not yet waited for ended, as ``os.waitpid`` would say it."""
    fields = _stat(process)
    return int(fields[49]) if len(fields) > 49 and fields[0] == "Z" else None


def _stat(process: int) -> list[str]:
    try:
        text = Path(f"/proc/{process}/stat").read_text(errors="replace")
    except OSError:
        return []
    # The second field is the program's name in brackets, whatever is in it.
    return text.rpartition(")")[2].split()
