"""The ``datacat`` command: one file a command."""

import io
import sys


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
    app()
