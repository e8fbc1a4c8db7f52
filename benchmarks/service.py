"""A service of its own for a measurement, as a user starts it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
