"""``datacat tail``: what happens, a line each, as it happens; and ``--problems``, verdicts as they come."""

import sys
import time
from typing import Annotated, Any, Final

import typer
from msgspec import Struct
from rich.console import Console

from datacat.cli.options import AsJson
from datacat.cli.service import (
    LEVEL_STYLES,
    NOT_IN_A_LINE,
    STYLES,
    Url,
    as_text,
    client_of,
    day_and_time,
    fail,
    fail_because,
    number,
    program_of,
    safe,
    say,
    short,
    terminal,
    time_beside,
)
from datacat.client.api import DatacatClient
from datacat.client.follow import LiveMessage
from datacat.client.options import DEFAULT_URL
from datacat.model.errors import InvalidInput, RequestFailed
from datacat.model.records import Level
from datacat.wire.codec import encode
from datacat.wire.timestamps import rfc3339

_EARLIER: Final = 10
"""Rows, or problems, from before that are shown first."""

_BY_DEFAULT: Final = "session,event,state,problem"

JsonObject = dict[str, Any]


_GAPS: Final = {
    "restarted": "what came while the service was started anew",
    "forgotten": "what came while there was no connection",
    "too_many": "more came at once than can be shown",
}


class News(Struct, frozen=True):
    """A problem, and what is new about it."""

    word: str
    problem: JsonObject


def tail(
    session_id: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="The session, or the first digits of its id; all without it."),
    ] = None,
    problems: Annotated[
        bool, typer.Option("--problems", help="Verdicts alone: hangs, crashes and losses of contact.")
    ] = False,
    kind: Annotated[
        str, typer.Option(help="session, event, metric, state or problem; several with commas between.")
    ] = _BY_DEFAULT,
    level: Annotated[Level | None, typer.Option(help="Events of this level and worse.")] = None,
    product: Annotated[str | None, typer.Option(help="Of this product alone.")] = None,
    version: Annotated[str | None, typer.Option(help="Of this version alone.")] = None,
    environment: Annotated[str | None, typer.Option(help="Of this environment alone.")] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show what happens as it happens, in one session or in all, until Ctrl-C. With --json, a message to a line."""
    client = client_of(url)
    console = terminal(soft_wrap=True)
    filters: dict[str, Any] = {"product": product, "version": version, "environment": environment}
    if session_id is not None and any(filters.values()):
        raise typer.BadParameter(
            "one session is what it is: leave out --product, --version and --environment"
        )
    if problems and session_id is not None:
        raise typer.BadParameter("--problems is of all sessions: leave out the ID, or say --kind problem")
    if problems and (kind != _BY_DEFAULT or level is not None):
        raise typer.BadParameter("--problems shows verdicts alone: leave out --kind and --level")
    try:
        if problems:
            _follow_problems(client, console, filters, as_json=as_json)
        else:
            _follow(client, console, session_id, kind, level, filters, as_json=as_json)
    except (RequestFailed, InvalidInput) as error:
        fail_because(error, url, session_id)
    except KeyboardInterrupt:
        return


def _follow(
    client: DatacatClient,
    console: Console,
    session_id: str | None,
    kind: str,
    level: Level | None,
    filters: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    earlier = _EARLIER if session_id is not None else 0
    for message in client.follow(session_id, kinds=[kind], level=level, last=earlier, **filters):
        if message.kind == "cut" and message.data["reason"] == "removed":
            fail(str(message.data["detail"]))
        if message.kind in ("connected", "disconnected", "cut"):
            _say(message)
        elif as_json:
            typer.echo(encode({"kind": message.kind, "id": message.id, "data": message.data}))
        elif message.kind == "gap":
            _say(message)
        else:
            today = rfc3339(time.time_ns() // 1_000)[:10]
            say(console, line(message, today, with_session=session_id is None))


def _follow_problems(
    client: DatacatClient, console: Console, filters: dict[str, Any], *, as_json: bool
) -> None:
    """The stream says when to ask: so nothing is lost, whatever becomes of the connection."""
    known: dict[int, JsonObject] = {}
    first = True
    for message in client.follow(kinds=["problem"], **filters):
        if message.kind in ("connected", "disconnected"):
            _say(message)
        if message.kind in ("connected", "problem", "gap"):
            try:
                found = client.get_problems(**filters)
            except RequestFailed:
                continue  # the stream goes with it, and says so
            news = news_in(known, found)
            for each in news[-_EARLIER:] if first else news:
                _print(console, each, as_json=as_json)
            first = False


def _say(message: LiveMessage) -> None:
    """What became of the stream, on standard error: the rest goes into files."""
    match message.kind:
        case "disconnected":
            words = f"{message.data['reason']}; trying again"
        case "connected" if message.data["again"]:
            words = "connected again"
        case "connected" if sys.stderr.isatty():
            words = "connected: what happens is shown as it happens"
        case "gap":
            left_out = ", ".join(
                f"{count:,} of {kind}" for kind, count in message.data.get("left_out", {}).items()
            )
            why = _GAPS.get(message.data["reason"], message.data["detail"])
            words = f"not shown{': ' if left_out else ''}{left_out}: {why}; it is stored, and datacat show ID has it"
        case _:
            return
    say(terminal(stderr=True), f"[yellow]{safe(words)}[/]")


def line(message: LiveMessage, today: str, *, with_session: bool) -> str:
    r"""One message for a person, as Rich's markup; with its day where that is not ``today``.

    >>> event = {"timestamp": "2024-11-23T12:00:00.123456Z", "name": "saved", "level": "info", "message": None,
    ...     "data": {"path": "a.txt"}, "product": "editor", "version": "2.3.1", "session_id": "01934f5e-0000-7000-8000-0"}
    >>> line(LiveMessage("event", event, "e1.m0.c0"), "2024-11-23", with_session=False)
    '[dim]12:00:00.123Z[/] event    [default]saved[/]  {"path":"a.txt"}'
    """
    data = message.data
    moment = (
        data["updated_at"]
        if message.kind == "session"
        else data.get("timestamp") or data["end"] or data["start"]
    )
    match message.kind:
        case "session":
            style = STYLES[data["status"]]
            words = f"[{style}]{data['status']}[/]  {safe(data['verdict'])}"
        case "event":
            shown = {key: value for key, value in data["data"].items() if key not in NOT_IN_A_LINE}
            text = " ".join(filter(None, [data["message"], as_text(shown) if shown else ""]))
            words = (
                f"[{LEVEL_STYLES.get(data['level'], 'default')}]{safe(data['name'])}[/]  {safe(short(text))}"
            )
        case "metric":
            unit = f" {safe(data['unit'])}" if data["unit"] not in (None, "1") else ""
            tags = f"  [dim]{safe(', '.join(data['tags']))}[/]" if data["tags"] else ""
            words = f"{safe(data['name'])}  [bold]{number(data['value'])}[/]{unit}{tags}"
        case "state":
            removed = f"[red]- {safe(short(' '.join(data['remove'])))}[/] " if data["remove"] else ""
            words = removed + (f"[green]+[/] {safe(short(as_text(data['merge'])))}" if data["merge"] else "")
        case _:
            lasted = f"  [dim]({data['seconds']:.1f} s)[/]" if data["seconds"] is not None else ""
            over = "over: " if data["end"] and data["kind"] != "crash" else ""
            words = f"[{'green' if over else STYLES[data['kind']]}]{over}{data['kind']}[/]  {safe(data['title'])}{lasted}"
    begin = f"[dim]{time_beside(moment, today)}[/] {message.kind:<8} "
    if not with_session:
        return begin + words.rstrip()
    session_id = data["id" if message.kind == "session" else "session_id"]
    return f"{begin}[bold]{safe(program_of(data))}[/]  {words.rstrip()}  [dim]{session_id[:18]}[/]"


def news_in(known: dict[int, JsonObject], found: list[JsonObject]) -> list[News]:
    """What ``found`` (newest first) has that ``known`` has not, oldest first; ``known`` then is as ``found``.

    >>> hang = {"id": 1, "kind": "hang", "title": "blocked", "end": None}
    >>> known = {}
    >>> [each.word for each in news_in(known, [hang])], [each.word for each in news_in(known, [hang])]
    (['new'], [])
    >>> [each.word for each in news_in(known, [hang | {"end": "2024-11-23T12:00:12Z"}])]
    ['over']
    """
    news = []
    for problem in reversed(found):
        before = known.get(problem["id"])
        known[problem["id"]] = problem
        if before is None:
            news.append(News("new", problem))
        elif before["end"] is None and problem["end"] is not None:
            news.append(News("over", problem))
        elif before["title"] != problem["title"]:
            news.append(News("corrected", problem))
    for forgotten in known.keys() - {problem["id"] for problem in found}:
        del known[forgotten]
    return news


def _print(console: Console, news: News, *, as_json: bool) -> None:
    problem = news.problem
    if as_json:
        typer.echo(encode(problem))
        return
    moment = (problem["end"] if news.word == "over" else None) or problem["start"]
    style = "green" if news.word == "over" else STYLES[problem["kind"]]
    word = {"over": "over", "corrected": "corrected"}.get(news.word, problem["kind"])
    lasted = f" [dim]({problem['seconds']:.1f} s)[/]" if problem["seconds"] is not None else ""
    say(
        console,
        f"[dim]{day_and_time(moment)}[/] [{style}]{word:<9}[/] {safe(program_of(problem))}  "
        f"{safe(problem['title'])}{lasted}  [dim]datacat show {problem['session_id'][:18]}[/]",
    )
