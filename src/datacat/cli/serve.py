"""``datacat serve``: run the service."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datacat.cli.service import fail
from datacat.model.errors import ConfigurationError, StoreError
from datacat.server.choices import LogFormat, LogLevel
from datacat.store.asked import Durability

if TYPE_CHECKING:
    from datacat.server.settings import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 takes a free one. [default: 8080]")] = None,
    database: Annotated[str | None, typer.Option(help="The SQLite file. [default: datacat.db]")] = None,
    durability: Annotated[
        Durability | None,
        typer.Option(
            help="What an answer survives: full a power cut, normal a killed process. [default: full]"
        ),
    ] = None,
    insecure_no_auth: Annotated[
        bool | None,
        typer.Option("--insecure-no-auth", help="Ask for no key, whatever address is served."),
    ] = None,
    cors_origins: Annotated[
        str | None,
        typer.Option(help="Whose pages may ask from a browser: origins with commas between. [default: none]"),
    ] = None,
    allowed_hosts: Annotated[
        str | None,
        typer.Option(
            help="Names by which it may be asked without a key, as a proxy's, with commas between. [default: localhost]"
        ),
    ] = None,
    retain: Annotated[
        str | None,
        typer.Option(
            help="How long a session is kept after it was last heard of, as 30d. [default: for ever]"
        ),
    ] = None,
    retain_per_product: Annotated[
        str | None, typer.Option(help="The same for some products, as editor=90d,ci=12h. [default: none]")
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(help="What the database may hold, as 20GiB: then the oldest go. [default: any size]"),
    ] = None,
    tls_cert: Annotated[
        str | None, typer.Option(help="A certificate in PEM: speak HTTPS, with --tls-key. [default: HTTP]")
    ] = None,
    tls_key: Annotated[str | None, typer.Option(help="The certificate's key in PEM, not encrypted.")] = None,
    fast_lane: Annotated[
        bool | None,
        typer.Option(
            "--fast-lane/--no-fast-lane",
            help="Whether plain posts of records are answered without the framework. [default: fast-lane]",
        ),
    ] = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="How much the log says. [default: info]")] = None,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(help="How the log is written: for people, or an object a line. [default: console]"),
    ] = None,
    request_timeout: Annotated[
        int | None,
        typer.Option(
            help="Seconds in which a request must arrive, and some of an answer be read. [default: 60]"
        ),
    ] = None,
    stop_timeout: Annotated[
        int | None, typer.Option(help="Seconds that open requests are given at a stop. [default: 10]")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file with these settings.")] = None,
) -> None:
    """Run the service. Every option is also DATACAT_<NAME> in the environment, and a key in --config."""
    from datacat.server import run, settings  # a second, which the other commands need not wait

    flags = {
        "host": host,
        "port": port,
        "database": database,
        "durability": durability,
        "insecure_no_auth": insecure_no_auth,
        "cors_origins": cors_origins,
        "allowed_hosts": allowed_hosts,
        "retain": retain,
        "retain_per_product": retain_per_product,
        "max_size": max_size,
        "tls_cert": tls_cert,
        "tls_key": tls_key,
        "fast_lane": fast_lane,
        "log_level": log_level,
        "log_format": log_format,
        "request_timeout": request_timeout,
        "stop_timeout": stop_timeout,
    }
    try:
        chosen = settings.load(flags, os.environ, config)
        run.serve(chosen, lambda url: _announce(url, chosen))
    except (ConfigurationError, StoreError) as error:
        fail(str(error))


def _announce(url: str, chosen: "Settings") -> None:
    with suppress(OSError):  # that nobody reads this is no reason not to serve
        typer.echo(f"datacat listens on {url}")
        typer.echo(f"  database   {Path(chosen.database).absolute()} ({chosen.durability} durability)")
        typer.echo(f"  API pages  {url}/docs")
        typer.echo(f"  sessions   {url}/api/sessions")
        typer.echo("Ctrl-C stops it.")
