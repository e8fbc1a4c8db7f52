"""What the commands that ask a running service have in common."""

from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

DEFAULT_URL: Final = "http://localhost:8080"

Url = Annotated[str, typer.Option(envvar="DATACAT_URL", help="The service to ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the service's JSON instead.")]

STYLES: Final = {
    "active": "green",
    "ended": "green",
    "hung": "bold red",
    "hang": "bold red",
    "crashed": "bold red",
    "crash": "bold red",
    "lost": "bold yellow",
}


def safe(value: Any) -> str:
    r"""Recorded text as it may be printed: nothing in it is markup, or speaks to the terminal.

    >>> safe("[red]\x1b[2J")
    '\\[red]�[2J'
    """
    return escape("".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in str(value)))


def fail(message: str) -> NoReturn:
    """Say what went wrong on standard error, and leave with 1."""
    Console(stderr=True, highlight=False).print(f"[red]datacat: {safe(message)}[/]", soft_wrap=True)
    raise typer.Exit(1)


def program_of(known: dict[str, Any]) -> str:
    """``editor 2.3.1``, as far as it is known."""
    return " ".join(str(known[key]) for key in ("product", "version") if known.get(key)) or "a program"
