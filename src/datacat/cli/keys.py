"""``datacat keys``: who may record, read and administer. They are kept in the database of the service."""

import os
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

import typer
from rich.table import Table

from datacat.cli.options import AsJson, Config, Database
from datacat.cli.service import day_and_time, fail, safe, terminal
from datacat.client.arguments import label
from datacat.model.errors import ConfigurationError, StoreError
from datacat.model.keys import Key, KeyScope, new_key
from datacat.wire.codec import encode
from datacat.wire.timestamps import rfc3339

if TYPE_CHECKING:
    from datacat.store.keys import KeyStore

app = typer.Typer(help="Keys: who may record, read and administer.", no_args_is_help=True)


_SCOPES: Final[tuple[KeyScope, ...]] = get_args(KeyScope)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for, so that it is known again in the list.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="ingest, read or admin; may be said more than once. [default: ingest]"),
    ] = None,
    product: Annotated[str | None, typer.Option(help="Good for this product alone.")] = None,
    records_per_second: Annotated[
        int | None, typer.Option(min=1, max=10**9, help="How many records a second it may bring.")
    ] = None,
    database: Database = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, and print it: it is shown once, and kept nowhere.

    From the first key on, the service asks for one at every request. It need not be started again.
    """
    for each in scope or ():
        if each not in _SCOPES:
            raise typer.BadParameter(f"--scope is one of {', '.join(_SCOPES)}, found {each!r}")
    if not label(name, "NAME"):
        raise typer.BadParameter("NAME says what the key is for: datacat keys create ci")
    scopes = tuple(each for each in _SCOPES if each in (scope or ["ingest"]))
    key, text = new_key(
        name,
        scopes,
        time.time_ns() // 1_000,
        product=label(product, "--product"),
        records_per_second=records_per_second,
    )
    path, store = _open(database, config)
    with closing(store):
        first = not store.any()
        store.add(key)
    if as_json:
        typer.echo(encode({**_view(key), "key": text}))
        return
    typer.echo(text)
    _tell(f"[dim]{safe(_may(key))}; kept in {safe(path)}. It is not shown again.[/]")
    _tell("[dim]Set it as DATACAT_KEY where the program or the command runs.[/]")
    if first:
        _tell("[yellow]It is the first: from now on every request needs a key.[/]")
        if "read" not in scopes:
            _tell(
                "[yellow]This one does not read: datacat keys create reader --scope read makes one that does.[/]"
            )


@app.command(name="list")
def list_keys(database: Database = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the keys, oldest first: never what opens with them."""
    path, store = _open(database, config, must_exist=True)
    with closing(store):
        keys = store.all()
    if as_json:
        for key in keys:
            typer.echo(encode(_view(key)))
        return
    if not keys:
        typer.echo(f"no keys in {path}: the service asks for none")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("id", "name", "may", "product", "records/s", "made", "revoked"):
        table.add_column(column)
    for key in keys:
        rate = "" if key.records_per_second is None else f"{key.records_per_second:,}"
        style = "dim strike" if key.revoked_at else ""
        made, revoked = _day(key.created_at), "" if key.revoked_at is None else _day(key.revoked_at)
        scopes = ", ".join(key.scopes)
        table.add_row(
            key.id, safe(key.name), scopes, safe(key.product or "all"), rate, made, revoked, style=style
        )
    console = terminal()
    # What reads a pipe wants a line for a key, however long it is.
    console.print(table, width=None if console.is_terminal else console.measure(table).maximum)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As datacat keys list shows it.")],
    database: Database = None,
    config: Config = None,
) -> None:
    """Revoke a key: from this moment on it opens nothing."""
    path, store = _open(database, config, must_exist=True)
    with closing(store):
        revoked = store.revoke(key_id, time.time_ns() // 1_000)
        known = store.find(key_id)
    if revoked:
        typer.echo(f"{key_id} is revoked")
    elif known is not None:
        typer.echo(f"{key_id} was revoked before")
    else:
        fail(f"no key {key_id} is in {path}: datacat keys list shows those that are")


def _open(database: str | None, config: Path | None, *, must_exist: bool = False) -> tuple[Path, "KeyStore"]:
    from datacat.server import settings, wiring  # half a second, which --help need not wait

    try:
        chosen = settings.load({"database": database}, os.environ, config)
        path = Path(chosen.database).absolute()
        missing = not path.exists()
        if must_exist and missing:
            fail(f"there is no database {path}: name the service's with --database")
        store = wiring.key_store(chosen)
    except (ConfigurationError, StoreError) as error:
        fail(str(error))
    if missing:
        _tell(
            f"[yellow]There was no database {safe(path)}: it is made, and only a service of it asks for the key. "
            "Another's is named with --database.[/]"
        )
    return path, store


def _tell(text: str) -> None:
    """Beside the key, which goes to standard output alone."""
    terminal(stderr=True, soft_wrap=True).print(text)


def _view(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes,
        "product": key.product,
        "records_per_second": key.records_per_second,
        "created_at": rfc3339(key.created_at),
        "revoked_at": None if key.revoked_at is None else rfc3339(key.revoked_at),
    }


def _may(key: Key) -> str:
    of = f" of {key.product}" if key.product else ""
    rate = f", {key.records_per_second:,} records a second at most" if key.records_per_second else ""
    return f"good for {', '.join(key.scopes)}{of}{rate}"


def _day(microseconds: int) -> str:
    return day_and_time(rfc3339(microseconds))
