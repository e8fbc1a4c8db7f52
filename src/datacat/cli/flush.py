"""``datacat flush``: deliver by hand what programs of this machine left in their journals."""

import os
from pathlib import Path
from typing import Annotated

import typer
from msgspec import Struct, to_builtins
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from datacat.cli.service import terminal, url_option, usable_key
from datacat.client.delivery import Delivery, Step
from datacat.client.journal_reader import ForeignJournal
from datacat.client.journal_root import Leftover, journal_root, set_aside
from datacat.client.leftovers import delivery_of, leftovers
from datacat.client.transport import HttpTransport
from datacat.model.clock import SystemClock
from datacat.wire.codec import encode


class _Result(Struct):
    sessions: int = 0
    records: int = 0
    kept: int = 0
    """Journals that could not be delivered now."""
    strange: int = 0
    """Journals of another version, set aside."""


def flush(
    journal_dir: Annotated[
        Path | None,
        typer.Option(help="Where the journals are. [default: DATACAT_JOURNAL_DIR, or the user's own place]"),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="Deliver to this service instead of the one each program recorded at.", callback=url_option
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Deliver what programs that have ended left in their journals. Running programs deliver their own."""
    console = terminal(stderr=as_json)
    try:
        root = (journal_dir or journal_root(os.environ)).absolute()
    except RuntimeError as error:
        console.print(
            f"[red]datacat flush: no place for journals is known ({error}): name one with --journal-dir[/]"
        )
        raise typer.Exit(1) from None
    if journal_dir is not None and not root.is_dir():
        raise typer.BadParameter(f"{root} is no directory", param_hint="--journal-dir")
    result = _deliver_all(console, root, url)
    if as_json:
        typer.echo(encode({"journals": str(root), **to_builtins(result)}))
    elif result.sessions:
        console.print(f"delivered {result.records:,} records of {_count(result.sessions, 'program')}")
    elif not result.kept and not result.strange:
        console.print(f"nothing waits in {escape(str(root))}", soft_wrap=True)
    if result.kept and not as_json:
        console.print(f"[yellow]{_count(result.kept, 'journal')} kept: run datacat flush again later[/]")
    if result.kept or result.strange:
        raise typer.Exit(1)


def _deliver_all(console: Console, root: Path, url: str | None) -> _Result:
    key = usable_key(os.environ.get("DATACAT_KEY"))
    result = _Result()
    unreachable: set[str] = set()
    told: set[str | None] = set()

    def complain(what: str) -> None:
        result.strange += 1
        console.print(f"[yellow]{escape(what)}[/]", soft_wrap=True)

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        for leftover in leftovers(root, SystemClock(), complain):
            target = (url or leftover.about.url).rstrip("/")
            if target in unreachable:
                result.kept += 1
                leftover.close()
                continue
            delivery = delivery_of(
                leftover,
                SystemClock(),
                HttpTransport(target, leftover.about.origin, key),
            )
            try:
                delivered = _deliver(progress, leftover, delivery)
            except ForeignJournal as error:
                leftover.close()
                complain(f"{error}; it is kept in {set_aside(leftover.folder)}")
                continue
            finally:
                delivery.close()
            result.records += delivery.shipped
            if delivered:
                result.sessions += 1
                leftover.remove()
            else:
                result.kept += 1
                if not delivery.refused:
                    unreachable.add(target)
                leftover.close()
                if delivery.last_error not in told:
                    told.add(delivery.last_error)
                    console.print(f"[red]{escape(delivery.last_error or '')}[/]", soft_wrap=True)
    return result


def _deliver(progress: Progress, leftover: Leftover, delivery: Delivery) -> bool:
    """Whether all of one journal was delivered."""
    size = leftover.reader.size()
    task = progress.add_task(leftover.about.session_id, total=size)
    while (step := delivery.step()) is Step.SENT:
        progress.update(task, completed=size - leftover.reader.size())
    progress.update(task, completed=size, visible=False)
    return step is Step.NOTHING


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
