"""Whether the kernel killed for want of memory in the control group where a process runs.

The kernel counts its kills by control group; no process is told why it got its SIGKILL.
"""

from pathlib import Path

from datacat.client import procfs

_V1 = "memory.oom_control"
_V2 = "memory.events"


def counter_file(cgroup: str, mountinfo: str) -> Path | None:
    r"""Where the kernel counts the kills, None where it does not.

    Args:
        cgroup: ``/proc/<pid>/cgroup`` of the process.
        mountinfo: ``/proc/self/mountinfo``.

    >>> mounts = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
    >>> str(counter_file("0::/user.slice/editor.scope\n", mounts))
    '/sys/fs/cgroup/user.slice/editor.scope/memory.events'
    """
    groups = [line.split(":", 2) for line in cgroup.splitlines()]
    for _, controllers, group in groups:
        if "memory" in controllers.split(","):
            return _below(group, mountinfo, "cgroup", "memory", _V1)
    for _, controllers, group in groups:
        if not controllers:
            return _below(group, mountinfo, "cgroup2", "", _V2)
    return None


def kills(counters: str) -> int:
    r"""How many processes were killed, as the file of :func:`counter_file` has it.

    >>> kills("low 0\noom 3\noom_kill 2\n")
    2
    """
    for line in counters.splitlines():
        name, _, number = line.partition(" ")
        if name == "oom_kill" and number.isdigit():
            return int(number)
    return 0


class MemoryKills:
    """Watches the control group of one process, wherever it is moved to."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._before = 0

    def look(self, pid: int) -> None:
        """See where the process is now; one that ends is where it was last seen.

        For a process that does not run yet, look at the one that will start it.
        """
        file = counter_file(_read(Path(f"/proc/{pid}/cgroup")), _read(Path("/proc/self/mountinfo")))
        # Of a process that ends, the kernel says that it is in the root: this is asked afterwards.
        if file is not None and file != self._file and not procfs.exiting(pid):
            self._file, self._before = file, kills(_read(file))

    @property
    def happened(self) -> bool:
        """Whether there was a kill since the process was first seen where it is."""
        return self._file is not None and kills(_read(self._file)) > self._before


def _below(group: str, mountinfo: str, kind: str, option: str, name: str) -> Path | None:
    for line in mountinfo.splitlines():
        mount, _, rest = line.partition(" - ")
        root, point = mount.split()[3:5]
        found, _, options = rest.split(maxsplit=2)
        within = root == "/" or group == root or group.startswith(root + "/")
        if found == kind and within and (not option or option in options.split(",")):
            return Path(point, group[len(root.rstrip("/")) :].lstrip("/"), name)
    return None


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
