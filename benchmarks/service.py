"""A service of its own for a measurement, as a user starts it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def service(
    database: Path, durability: str, *flags: str, pinned: str = "", quiet: bool = False
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """A service of its own, as a user starts it; ``pinned`` is a command that runs it, such as ``taskset -c 0``.

    ``quiet`` keeps its log to itself: a sender that leaves in the middle of a request is told there.
    """
    serve = [*pinned.split(), sys.executable, "-m", "datacat", "serve", "--port", "0"]
    command = [*serve, "--database", str(database), "--durability", durability, *flags]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if quiet else None, text=True
    )
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
