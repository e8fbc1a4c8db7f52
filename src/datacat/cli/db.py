"""``datacat db``: looking after the database file, mostly while the service runs."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from datacat.cli.options import AsJson, Config, Database
from datacat.cli.service import STYLES, fail, safe, terminal
from datacat.model.errors import ConfigurationError, StoreError
from datacat.store.upkeep import Stats, Tell, Upkeep
from datacat.wire.codec import encode
from datacat.wire.timestamps import rfc3339

app = typer.Typer(help="Look after the database file.", no_args_is_help=True)

_Result = TypeVar("_Result")


@app.callback()
def db() -> None:
    """Look after the database file.

    Exits with 0 when all is well, with 1 when something is wrong or could not be done, with 2 when the command
    was not understood.
    """


@app.command()
def check(
    full: Annotated[bool, typer.Option("--full", help="Compare every index with its table too.")] = False,
    database: Database = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Look for damage and contradictions, while the service runs. Reads only."""
    checked = _do(database, config, lambda upkeep, tell: upkeep.check(tell, full=full), quiet=as_json)
    if as_json:
        typer.echo(encode({"ok": checked.ok, **_fields(checked)}))
    else:
        console = terminal(soft_wrap=True)
        for note in checked.notes:
            console.print(f"[yellow]{safe(note)}[/]")
        for fault in checked.faults:
            console.print(f"[bold red]wrong[/]  {safe(fault.what)}")
        for cure in dict.fromkeys(fault.cure for fault in checked.faults):
            console.print(f"[dim]cure[/]   {safe(cure)}")
        if checked.ok:
            console.print(f"[green]{safe(checked.path)} is well[/]  [dim]schema {checked.schema}[/]")
    if not checked.ok:
        raise typer.Exit(1)


@app.command()
def backup(
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace DEST if it is there.")] = False,
    database: Database = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Copy the database as it is at one moment, while the service writes. The copy is checked and durable."""
    copied = _do(
        database, config, lambda upkeep, tell: upkeep.backup(destination, tell, force=force), quiet=as_json
    )
    if as_json:
        typer.echo(encode(copied))
    else:
        terminal(soft_wrap=True).print(f"{safe(copied.path)}  [dim]{size(copied.bytes)}, checked[/]")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A backup, or any database of datacat.")],
    force: Annotated[
        bool, typer.Option("--force", help="Do not keep the database that is replaced.")
    ] = False,
    database: Database = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Put a copy of SOURCE in the database's place. The service must be stopped."""
    restored = _do(
        database, config, lambda upkeep, tell: upkeep.restore(source, tell, keep=not force), quiet=as_json
    )
    if as_json:
        typer.echo(encode(restored))
        return
    console = terminal(soft_wrap=True)
    console.print(
        f"{safe(restored.path)} is now what {safe(source)} is  [dim]{size(restored.bytes)}, checked[/]"
    )
    if restored.kept:
        console.print(f"what was there before is in {safe(restored.kept)}")


@app.command()
def vacuum(database: Database = None, config: Config = None, as_json: AsJson = False) -> None:
    """Give space that is free within the file back to the file system, while the service runs."""
    done = _do(database, config, lambda upkeep, tell: upkeep.vacuum(tell), quiet=as_json)
    if as_json:
        typer.echo(encode(done))
    else:
        gained = max(0, done.before - done.after)
        terminal(soft_wrap=True).print(
            f"{size(gained)} given back  [dim]{size(done.before)} before, {size(done.after)} now[/]"
        )


@app.command()
def recount(database: Database = None, config: Config = None, as_json: AsJson = False) -> None:
    """Make the sums over sessions and metrics anew, where db check says that they are wrong; nothing else is touched.

    While it runs nothing can be committed: programs keep what they record, and bring it afterwards.
    """
    done = _do(database, config, lambda upkeep, tell: upkeep.recount(tell), quiet=as_json)
    if as_json:
        typer.echo(encode(done))
    else:
        terminal(soft_wrap=True).print(
            f"{done.session_sums:,} sums over sessions and {done.metric_sums:,} over metrics made anew"
        )


@app.command()
def stats(
    tables: Annotated[
        bool | None,
        typer.Option(
            "--tables/--no-tables",
            help="Tell the size of each table and index, which reads the whole file. [default: up to 256 MiB]",
        ),
    ] = None,
    database: Database = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Tell how large it is and what is in it, while the service runs."""
    found = _do(database, config, lambda upkeep, _: upkeep.stats(tables=tables), quiet=True)
    if as_json:
        moments = {name: _moment(getattr(found, name)) for name in ("oldest", "newest")}
        typer.echo(encode(_fields(found) | moments))
    else:
        _print_stats(terminal(soft_wrap=True), found)


def size(number: int) -> str:
    """Bytes as people read them.

    >>> size(0), size(999), size(4096), size(1_234_567_890)
    ('0 B', '999 B', '4.1 kB', '1.2 GB')
    """
    amount = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def _do(
    database: str | None, config: Path | None, task: Callable[[Upkeep, Tell], _Result], *, quiet: bool
) -> _Result:
    from datacat.server.settings import load
    from datacat.server.upkeep import upkeep

    try:
        settings = load({"database": database}, os.environ, config)
        with _progress(quiet=quiet) as tell, _stopped_as_by_ctrl_c():
            return task(upkeep(settings), tell)
    except (ConfigurationError, StoreError) as error:
        fail(str(error))


@contextmanager
def _stopped_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM, as of a timer whose time is over, leaves nothing unfinished behind."""

    def stop(number: int, _: FrameType | None) -> None:
        raise typer.Exit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Tell]:
    """A bar on a terminal, nothing elsewhere."""
    console = terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=quiet or not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda what, done: progress.update(task, description=what, completed=done)


def _print_stats(console: Console, found: Stats) -> None:
    console.print(f"[bold]{safe(found.path)}[/]  [dim]schema {found.schema}[/]")
    free = "" if found.gives_back else "  [dim](datacat db vacuum needs the service stopped, this once)[/]"
    console.print(
        f"  [dim]file[/] {size(found.file_bytes)}  [dim]log[/] {size(found.wal_bytes)}  "
        f"[dim]free within[/] {size(found.free_bytes)}{free}"
    )
    if found.oldest is not None:
        console.print(f"  [dim]sessions from[/] {_moment(found.oldest)} [dim]to[/] {_moment(found.newest)}")
    told = ", ".join(
        f"[{STYLES[status]}]{count:,} {status}[/]" for status, count in found.sessions.items() if count
    )
    console.print(f"  [dim]sessions[/] {found.rows.sessions:,}" + (f": {told}" if told else ""))
    about = "about " if found.rows.estimated else ""
    rows = found.rows
    console.print(
        f"  [dim]rows[/] {about}{rows.events:,} events, {about}{rows.metrics:,} metrics, "
        f"{about}{rows.changes:,} changes of state, {rows.problems:,} problems"
    )
    if found.removed:
        why = {"age": "for their age", "size": "for want of room", "asked": "as asked"}
        gone = ", ".join(f"{count:,} {why.get(reason, reason)}" for reason, count in found.removed.items())
        rest = f"; the rows of {found.being_removed:,} are being taken away" if found.being_removed else ""
        console.print(f"  [dim]removed[/] {gone}{rest}")
    if found.products:
        console.print("\n[bold underline]Products[/]")
        for product in found.products[:20]:
            console.print(f"  {product.sessions:>12,}  {safe(product.product or 'without a name')}")
    if found.tables is None:
        console.print("\n[dim]--tables tells the size of each table, and reads the whole file for it[/]")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right")
    table.add_column()
    for each in found.tables:
        table.add_row(f"  {size(each.bytes):>12}", safe(each.name))
    console.print("\n[bold underline]Tables and indexes[/]")
    console.print(table)


def _fields(found: Any) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__struct_fields__}


def _moment(time: int | None) -> str | None:
    return None if time is None else rfc3339(time)
