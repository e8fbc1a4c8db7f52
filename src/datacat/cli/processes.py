"""Which process listens on a port, and which have a file open: as far as Linux's ``/proc`` tells this user."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LISTENS: Final = "0A"  # include/net/tcp_states.h


def listener(port: int) -> str | None:
    """Who listens on ``port``: ``pid 4711 (nginx: master process)``; None where nobody does, or nothing is told."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    return next((_who(pid) for pid, target in _open_files() if target in sockets), None)


def holders(path: Path) -> list[str]:
    """Who has the file at ``path`` open, in the order of their numbers."""
    resolved = str(path.resolve())
    return [_who(pid) for pid in sorted({pid for pid, target in _open_files() if target == resolved})]


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _open_files() -> Iterator[tuple[int, str]]:
    """Every process's number, and what each of its descriptors leads to."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for descriptor in (process / "fd").iterdir():
                yield int(process.name), str(descriptor.readlink())
        except OSError:  # it has ended, or is another user's
            continue


def _who(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
    except OSError:
        command = ""
    shown = re.sub(r"\s+", " ", command)[:80]
    return f"pid {pid} ({shown})" if shown else f"pid {pid}"
