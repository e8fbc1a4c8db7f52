"""What goes wrong with machines, on purpose."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
