"""``datacat doctor``: what is wrong with a set-up, why it matters, and the cure."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from datacat.cli.diagnosis import Facts, Finding, diagnose
from datacat.cli.service import safe, say, terminal
from datacat.client.options import DEFAULT_URL
from datacat.wire.codec import encode

_STYLES = {"problem": "bold red", "note": "yellow"}


def doctor(
    url: Annotated[
        str, typer.Option(envvar="DATACAT_URL", help="The service to ask, or what was taken for one.")
    ] = DEFAULT_URL,
    host: Annotated[str | None, typer.Option(help="The address of the service on this machine.")] = None,
    port: Annotated[int | None, typer.Option(help="The port of the service on this machine.")] = None,
    database: Annotated[str | None, typer.Option(help="The database of the service on this machine.")] = None,
    config: Annotated[Path | None, typer.Option(help="The settings file of the service.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look at a set-up: the service, its database, the disks, the clocks, the journals.

    Exits with 0 when all is well and with 1 when something is wrong; a note alone is no wrong.
    """
    from datacat.cli.facts import (
        gather,  # the settings and the store, which the other commands need not wait for
    )

    facts = gather(url, {"host": host, "port": port, "database": database}, config, os.environ)
    findings = diagnose(facts)
    ill = any(finding.level == "problem" for finding in findings)
    if as_json:
        typer.echo(encode({"ok": not ill, "findings": findings, "facts": facts}))
    else:
        _print(terminal(soft_wrap=True), facts, findings, ill=ill)
    if ill:
        raise typer.Exit(1)


def _print(console: Console, facts: Facts, findings: list[Finding], *, ill: bool) -> None:
    for finding in findings:
        style = _STYLES[finding.level]
        say(console, f"[{style}]{finding.level:<8}[/] {safe(finding.what)}")
        say(console, f"         [dim]why[/]   {safe(finding.why)}")
        say(console, f"         [dim]cure[/]  {safe(finding.cure)}")
        console.print()
    looked_at = [
        f"the service at {facts.service.url}",
        f"the database {facts.database.path}" if facts.database else "",
        f"port {facts.port.number}" if facts.port else "",
        f"the journals in {facts.journals.root}",
        "the disks, the clocks and the versions",
    ]
    verdict = "[bold red]not well[/]" if ill else "[green]all is well[/]"
    say(console, f"{verdict}  [dim]looked at {safe(', '.join(filter(None, looked_at)))}[/]")
