"""The ``datacat`` command: one file a command."""

import errno
import io
import os
import sys
from typing import Final

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG})


def main() -> None:
    """Run the command line; without the server's libraries, say how to get them."""
    try:
        from datacat.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("datacat"):
            raise
        sys.exit(f"the datacat command needs {error.name}: in a clone of datacat, pip install '.[server]'")
    # A name that the terminal has no letters for is no reason to show nothing.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        app()
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        # What is still to be flushed at the end would say it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(f"datacat: what this prints cannot be written: {error.strerror}")
