"""``datacat sessions``: a line each, newest first."""

import time
from typing import Annotated, Any, Final

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from datacat.cli.options import AsJson
from datacat.cli.service import (
    STYLES,
    Url,
    client_of,
    day_and_time,
    fail_because,
    program_of,
    safe,
    say,
    terminal,
)
from datacat.client.options import DEFAULT_URL
from datacat.model.errors import InvalidInput, RequestFailed
from datacat.model.periods import parse_period
from datacat.store.asked import Sort
from datacat.wire.codec import encode
from datacat.wire.timestamps import parse_moment, parse_timestamp, rfc3339

JsonObject = dict[str, Any]

_PAGE: Final = 1_000

_WIDEST_PROGRAM: Final = 30
"""Columns, where a terminal has room for them; what is longer moves its own line alone."""

_BESIDE_PROGRAM: Final = 61
"""Columns of status, moment, id and length."""

_WHEN = "RFC 3339, or how long ago: 30m, 12h, 7d."


def sessions(
    status: Annotated[
        str | None, typer.Option(help="active, hung, ended, crashed or lost; several with commas between.")
    ] = None,
    product: Annotated[str | None, typer.Option(help="Of this product alone.")] = None,
    version: Annotated[str | None, typer.Option(help="Of this version alone.")] = None,
    environment: Annotated[str | None, typer.Option(help="Of this environment alone.")] = None,
    hostname: Annotated[str | None, typer.Option(help="On this host alone.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="With this tag; may be said more than once, for all of them.")
    ] = None,
    event: Annotated[
        list[str] | None, typer.Option(help="In which an event of this name happened; as --tag.")
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="With this in the state: step=copy, disk.free=12; as --tag.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="With all of these words in names and messages.")] = None,
    sort: Annotated[
        Sort,
        typer.Option(
            help="Which first; of those that have ended: ended (the last) and longest; of those that hung: hung (the longest)."
        ),
    ] = "newest",
    since: Annotated[str | None, typer.Option(help=f"That began at this moment or later: {_WHEN}")] = None,
    until: Annotated[str | None, typer.Option(help=f"That began before this moment: {_WHEN}")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """List sessions, the one that began last first. With --json, one to a line."""
    now = time.time_ns() // 1_000
    filters: dict[str, str | list[str] | None] = {
        "status": status,
        "hostname": hostname,
        "tag": tag,
        "event": event,
        "state": state,
        "text": text,
        "sort": sort,
        "product": product,
        "version": version,
        "environment": environment,
        "from": since and moment(since, now, "--since"),
        "to": until and moment(until, now, "--until"),
    }
    client = client_of(url)
    console = terminal()
    cursor: str | None = None
    counts: JsonObject = {}
    left = limit
    try:
        while True:
            page = client.get_sessions(limit=min(left, _PAGE), cursor=cursor, **filters)
            _print(console, page["sessions"], now, as_json=as_json)
            left -= len(page["sessions"])
            counts, cursor = counts or page["counts"], page["next"]
            if cursor is None or not left:
                break
    except RequestFailed as error:
        fail_because(error, url)
    if not as_json:
        # They are counted by names and time alone, and of each status.
        narrowed = any((hostname, tag, event, state, text))
        _summary(console, limit - left, counts, more=cursor is not None, narrowed=narrowed)


def moment(text: str, now: int, option: str) -> str:
    """What the service is asked for: a period becomes the moment so long before ``now`` (microseconds).

    >>> moment("2h", 1_732_380_000_000_000, "--since")
    '2024-11-23T14:40:00.000000Z'
    >>> moment("2024-11-23 12:00:00Z", 0, "--since")
    '2024-11-23T12:00:00.000000Z'
    >>> moment("1732380000", 0, "--since")
    '2024-11-23T16:40:00.000000Z'

    Raises:
        BadParameter: it is neither.
    """
    seconds = parse_period(text)
    if seconds is not None:
        return rfc3339(max(0, now - seconds * 1_000_000))
    try:
        return rfc3339(parse_moment(text, field=option) if text.isdigit() else parse_timestamp(text))
    except InvalidInput:
        raise typer.BadParameter(
            f"{text!r} is no moment: write how long ago it is (30m, 12h, 7d), or the day and the time with Z for "
            "UTC or their offset (2026-11-23 16:40:00Z, 2026-11-23T17:40:00+01:00)",
            param_hint=option,
        ) from None


def length(seconds: float) -> str:
    """How long something took, in two words at most.

    >>> length(0.25), length(59.6), length(3_725), length(180_000)
    ('0.2 s', '60 s', '1 h 2 min', '2 d 2 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3_600:
        return f"{seconds // 60:.0f} min {seconds % 60 // 1:.0f} s"
    if seconds < 86_400:
        return f"{seconds // 3_600:.0f} h {seconds % 3_600 // 60:.0f} min"
    return f"{seconds // 86_400:.0f} d {seconds % 86_400 // 3_600:.0f} h"


def _print(console: Console, sessions: list[JsonObject], now: int, *, as_json: bool) -> None:
    if as_json:
        for session in sessions:
            typer.echo(encode(session))
        return
    programs = [safe(program_of(session)) for session in sessions]
    room = console.width - _BESIDE_PROGRAM if console.is_terminal else _WIDEST_PROGRAM
    widest = min(max(map(cell_len, programs), default=0), _WIDEST_PROGRAM, max(0, room))
    for session, program in zip(sessions, programs, strict=True):
        style = STYLES[session["status"]]
        head = Text.from_markup(
            f"[{style}]{session['status']:<7}[/] [dim]{day_and_time(session['created_at'])}[/] "
            f"{session['id'][:18]}  [bold]{program}[/]{' ' * (widest - cell_len(program))}  "
            f"{length(_lasts(session, now)):<10}",
            emoji=False,
        )
        last = f"  [dim]last event: {safe(session['last_event'])}[/]" if session["last_event"] else ""
        verdict = Text.from_markup(f"[{style}]{safe(session['verdict'])}[/]{last}", emoji=False)
        if console.is_terminal and head.cell_len + 2 + verdict.cell_len > console.width:
            head.rstrip()
            console.print(head)
            console.print(Padding(verdict, (0, 0, 0, 8)))
        else:
            console.print(Text.assemble(head, "  ", verdict), soft_wrap=True)


def _lasts(session: JsonObject, now: int) -> float:
    """Seconds. What is heard of a program is not how long it runs: it may have nothing to say for hours."""
    if session["active"]:
        return max(0, now - parse_timestamp(session["created_at"])) / 1e6
    return float(session["duration"])


def _summary(console: Console, shown: int, counts: JsonObject, *, more: bool, narrowed: bool) -> None:
    if not any(counts.values()):
        console.print("no sessions", soft_wrap=True)
        return
    told = ", ".join(f"[{STYLES[status]}]{count:,} {status}[/]" for status, count in counts.items() if count)
    hint = "  [dim]--limit shows more, datacat show ID one of them[/]" if more else ""
    of = "whatever else is asked, there are" if narrowed else "in all"
    say(console, f"[dim]{shown:,} shown; {of}[/] {told}{hint}")
