"""``datacat tail --problems``: verdicts as they come."""

import time
from typing import Annotated, Any, Final

import typer
from msgspec import Struct
from rich.console import Console

from datacat.cli.service import DEFAULT_URL, STYLES, AsJson, Url, fail, program_of, safe
from datacat.client.api import DatacatClient
from datacat.model.errors import RequestFailed
from datacat.wire.codec import encode

_INTERVAL: Final = 1.0
_EARLIER: Final = 10
"""Problems from before that are shown first."""

JsonObject = dict[str, Any]


class News(Struct, frozen=True):
    """A problem, and what is new about it."""

    word: str
    problem: JsonObject


def tail(
    problems: Annotated[
        bool, typer.Option("--problems", help="Hangs, crashes and losses of contact.")
    ] = False,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show verdicts as they come, in any session, until Ctrl-C."""
    if not problems:
        raise typer.BadParameter("say what to follow: datacat tail --problems")
    client = DatacatClient(url)
    console = Console(highlight=False)
    try:
        found = client.get_problems()
    except RequestFailed as error:
        fail(str(error))
    known: dict[int, JsonObject] = {}
    news = news_in(known, found)[-_EARLIER:]
    away = False
    try:
        while True:
            for each in news:
                _print(console, each, as_json=as_json)
            time.sleep(_INTERVAL)
            try:
                news = news_in(known, client.get_problems())
                away = False
            except RequestFailed as error:
                news = []
                if not away:
                    Console(stderr=True, highlight=False).print(
                        f"[yellow]{safe(str(error))}; trying again[/]", soft_wrap=True
                    )
                away = True
    except KeyboardInterrupt:
        return


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
    console.print(
        f"[dim]{moment[:10]} {moment[11:19]}[/] [{style}]{word:<9}[/] {safe(program_of(problem))}  "
        f"{safe(problem['title'])}{lasted}  [dim]datacat show {problem['session_id'][:18]}[/]",
        soft_wrap=True,
    )
