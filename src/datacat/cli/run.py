"""``datacat run``: run any program, and record how it ends."""

import logging
import os
import sys
from typing import Annotated

import typer

from datacat.cli.service import usable_key
from datacat.client.arguments import checked_url, label, tag_list
from datacat.client.options import DEFAULT_URL, Options
from datacat.model.clock import SystemClock


def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments, best after --.")],
    product: Annotated[
        str | None, typer.Option(help="Its name. [default: what it says itself, or its file's name]")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Its version.")] = None,
    environment: Annotated[str | None, typer.Option(help="production, staging …")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be said more than once.")] = None,
    url: Annotated[
        str | None, typer.Option(help="The service. [default: DATACAT_URL, or http://localhost:8080]")
    ] = None,
    stderr: Annotated[
        bool, typer.Option("--stderr/--no-stderr", help="Pass its stderr through, and keep the last lines.")
    ] = True,
) -> None:
    """Run a program, and record how it ends: its exit code or signal, what it used, its last lines of stderr.

    The exit code is the program's. Where the service is down, the record waits for datacat flush.
    """
    if sys.platform != "linux":
        typer.echo("datacat run: only Linux has what this needs", err=True)
        raise typer.Exit(1)
    from datacat.client.parent.child import CannotStart, become
    from datacat.client.parent.run import Program
    from datacat.client.parent.run import run as run_to_its_end
    from datacat.client.parent.signals import end_as

    target = url or os.environ.get("DATACAT_URL") or DEFAULT_URL
    try:
        program = Program(
            command=command,
            options=Options(url=checked_url(target), key=usable_key(os.environ.get("DATACAT_KEY"))),
            product=label(product, "--product"),
            version=label(version, "--version"),
            environment=label(environment, "--environment"),
            tags=tag_list(tag or []),
            keep_stderr=stderr,
        )
    except (TypeError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None
    # What is printed on stderr is the program's alone.
    logging.getLogger("datacat").addHandler(logging.NullHandler())
    try:
        if os.environ.get("DATACAT_DISABLED", "") not in ("", "0"):
            become(command)
        status = run_to_its_end(program, SystemClock())
    except CannotStart as error:
        typer.echo(f"datacat run: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    raise typer.Exit(end_as(status))
