"""What the commands that ask a running service have in common."""

import os
import unicodedata
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from datacat.client.api import DatacatClient
from datacat.client.arguments import checked_key, checked_url
from datacat.model.errors import InvalidInput, RequestFailed
from datacat.wire.codec import encode


def url_option(url: str | None) -> str | None:
    """The URL that was given, for an option to call back; refused where it is none."""
    if url is None:
        return None
    try:
        return checked_url(url)
    except InvalidInput as error:
        raise typer.BadParameter(error.detail) from None


Url = Annotated[str, typer.Option(envvar="DATACAT_URL", help="The service to ask.", callback=url_option)]

STYLES: Final = {
    "active": "green",
    "ended": "green",
    "hung": "bold red",
    "hang": "bold red",
    "crashed": "bold red",
    "crash": "bold red",
    "lost": "bold yellow",
}

LEVEL_STYLES: Final = {"warning": "yellow", "error": "red", "fatal": "bold red", "debug": "dim"}

NOT_IN_A_LINE: Final = ("stacks", "samples", "traceback", "asyncio", "heartbeat")
"""Keys of an event's data that no line has room for, or that tell programs which hang is meant."""

_WIDTH: Final = 160
_FURTHER_IN: Final = 8
_COUNTED_TO: Final = 2**53
"""Up to here each whole number is a float."""

_JOINERS: Final = "\u200c\u200d"
"""What Persian and Indic words, and emojis of several, are joined and kept apart with."""


def safe(value: Any) -> str:
    r"""Recorded text as it may be printed: nothing in it is markup, or speaks to the terminal.

    >>> safe("[red]\x1b[2J")
    '\\[red]�[2J'
    """
    return escape("".join(each if _is_text(each) else "\N{REPLACEMENT CHARACTER}" for each in str(value)))


def _is_text(character: str) -> bool:
    """Python calls no space printable but the one: not the wide one of Chinese and Japanese, nor the narrow ones."""
    return character.isprintable() or character in _JOINERS or unicodedata.category(character) == "Zs"


def terminal(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Where a command prints: what was recorded, as it was recorded, without colours or emojis made of it."""
    return Console(stderr=stderr, soft_wrap=soft_wrap, emoji=False, highlight=False)


def say(console: Console, line: str) -> None:
    """One line of markup: whole into a file or a pipe; what a terminal has no room for goes on below, further in."""
    text = Text.from_markup(line, emoji=False)
    if not console.is_terminal or text.cell_len <= console.width:
        console.print(text, soft_wrap=True)
        return
    first = text.wrap(console, console.width)[0]
    first.rstrip()
    console.print(first)
    rest = text[len(first) :]
    rest = rest[len(rest) - len(rest.plain.lstrip()) :]
    for each in rest.wrap(console, max(1, console.width - _FURTHER_IN)):
        each.rstrip()
        console.print(Text.assemble(" " * _FURTHER_IN, each), soft_wrap=True)


def number(value: float) -> str:
    """A metric's value: a whole one whole, as a count of bytes is, all else in six digits.

    >>> number(7_944_080.0), number(0.1 + 0.2), number(1e300), number(-2.0)
    ('7944080', '0.3', '1e+300', '-2')
    """
    return f"{value:.0f}" if value.is_integer() and abs(value) < _COUNTED_TO else f"{value:g}"


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what went wrong on standard error, and leave with this code: 2 for what was typed."""
    say(terminal(stderr=True), f"[red]datacat: {safe(message)}[/]")
    raise typer.Exit(code)


def usable_key(key: str | None, named: str = "DATACAT_KEY") -> str | None:
    """The key that stands in what is ``named`` so; whoever typed it is told where it is none."""
    try:
        return checked_key(key)
    except ValueError:
        fail(
            f"{named} holds what cannot be a key: set it to the single word that datacat keys create printed, or leave it out",
            2,
        )


def client_of(url: str, *, timeout: float = 10.0) -> DatacatClient:
    """What asks the service at ``url``, with the key of the environment."""
    return DatacatClient(url, key=usable_key(os.environ.get("DATACAT_KEY")), timeout=timeout)


def fail_because(error: RequestFailed | InvalidInput, url: str, session_id: str | None = None) -> NoReturn:
    """The same, for what the service at ``url`` said, of this session where one was asked for.

    A 422 is about what was typed, as is what was not even asked.
    """
    unknown = session_id is not None and error.code == "unknown_session"
    message = f"no session {session_id} is known at {url}" if unknown else error.detail
    fail(message, 2 if isinstance(error, InvalidInput) or error.status == 422 else 1)


def program_of(known: dict[str, Any]) -> str:
    """``editor 2.3.1``, as far as it is known."""
    return " ".join(str(known[key]) for key in ("product", "version") if known.get(key)) or "a program"


def as_text(value: Any) -> str:
    """Text as it is, all else as JSON."""
    return value if isinstance(value, str) else encode(value).decode()


def day_and_time(timestamp: str) -> str:
    """A moment of an answer to the second, in UTC, as ``--since`` takes it too.

    >>> day_and_time("2024-11-23T16:40:00.123456Z")
    '2024-11-23 16:40:00Z'
    """
    return f"{timestamp[:10]} {timestamp[11:19]}Z"


def time_of_day(timestamp: str) -> str:
    """The time of a moment of an answer to the millisecond, in UTC.

    >>> time_of_day("2024-11-23T16:40:00.123456Z")
    '16:40:00.123Z'
    """
    return f"{timestamp[11:23]}Z"


def time_beside(timestamp: str, day: str) -> str:
    """The time of day of a moment that stands among others of ``day``; with its own day where that is another.

    >>> time_beside("2024-11-23T16:40:00.123456Z", "2024-11-23")
    '16:40:00.123Z'
    >>> time_beside("2024-11-23T16:40:00.123456Z", "2024-11-24")
    '2024-11-23 16:40:00.123Z'
    """
    time = time_of_day(timestamp)
    return time if timestamp.startswith(day) else f"{timestamp[:10]} {time}"


def short(text: str) -> str:
    """One line, of no more than fits on one."""
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
