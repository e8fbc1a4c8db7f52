"""``datacat grafana``: what Grafana needs to show what datacat has."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from datacat.cli.service import terminal, url_option, usable_key
from datacat.grafana.provisioning import CRASH_FREE_BELOW, PLUGIN, PLUGIN_VERSION, files
from datacat.wire.codec import encode

app = typer.Typer(help="Set Grafana up.", no_args_is_help=True)


@app.callback()
def grafana() -> None:
    """Set Grafana up."""


@app.command()
def provision(
    directory: Annotated[
        Path, typer.Argument(help="Grafana's provisioning directory; made where it is missing.")
    ],
    url: Annotated[
        str,
        typer.Option(
            envvar="DATACAT_URL", help="Where Grafana's server reaches datacat.", callback=url_option
        ),
    ] = "http://127.0.0.1:8080",
    key: Annotated[
        str | None, typer.Option(envvar="DATACAT_KEY", help="The key, for a service that asks for one.")
    ] = None,
    seen_at: Annotated[
        str | None,
        typer.Option(
            "--seen-at",
            help="The same directory as Grafana sees it, such as in a container. [default: DIRECTORY]",
        ),
    ] = None,
    crash_free_below: Annotated[
        float, typer.Option(min=0, max=1, help="Warn when the crash-free rate of a day is lower.")
    ] = CRASH_FREE_BELOW,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write the data source, the dashboards and the alert rules, for Grafana to read when it starts."""
    console = terminal(stderr=as_json)
    written = files(
        url,
        key=usable_key(key, "--key, or DATACAT_KEY,"),
        seen_at=seen_at or str(directory.absolute()),
        crash_free_below=crash_free_below,
    )
    try:
        for name, text in written.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, text, secret=key is not None and path.parent.name == "datasources")
    except OSError as error:
        console.print(
            f"[red]datacat: {escape(str(directory))} cannot be written: {escape(error.strerror or str(error))}[/]",
            soft_wrap=True,
        )
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(encode({"directory": str(directory), "url": url, "files": sorted(written)}))
        return
    console.print(
        f"{len(written)} files written to {escape(str(directory))}, for {escape(url)}", soft_wrap=True
    )
    console.print(
        f"Grafana needs the plugin {PLUGIN} {PLUGIN_VERSION}, and a start to read them.", soft_wrap=True
    )


def _write(path: Path, text: str, *, secret: bool) -> None:
    with open(
        path,
        "w",
        encoding="utf-8",
        opener=lambda name, flags: os.open(name, flags, 0o600 if secret else 0o644),
    ) as file:
        file.write(text)
