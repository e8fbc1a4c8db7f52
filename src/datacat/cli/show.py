"""``datacat show ID``: how a session went, on one screen."""

import re
from collections.abc import Sized
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from datacat.cli.completion import session_ids
from datacat.cli.options import AsJson
from datacat.cli.service import (
    LEVEL_STYLES,
    NOT_IN_A_LINE,
    STYLES,
    Url,
    as_text,
    client_of,
    fail_because,
    number,
    program_of,
    safe,
    say,
    short,
    terminal,
    time_beside,
    time_of_day,
)
from datacat.client.options import DEFAULT_URL
from datacat.model.errors import InvalidInput, RequestFailed
from datacat.model.fingerprint import read_frames
from datacat.model.hangs import place_of
from datacat.model.state import ABSENT, differences
from datacat.wire.codec import encode

JsonObject = dict[str, Any]

_HANGS: Final = 3
_THREADS: Final = 5
_EVENTS: Final = 20
_LINES: Final = 40
_TRACE_LINES: Final = 9
_BARS: Final = "▁▂▃▄▅▆▇█"

_TEXTS: Final = ("traceback", "dump", "stderr")


def show(
    session_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The session, or the first digits of its id.", autocompletion=session_ids
        ),
    ],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show how a session went: the verdict, where it stood, its last words."""
    try:
        dossier = client_of(url).get_dossier(session_id)
    except (RequestFailed, InvalidInput) as error:
        fail_because(error, url, session_id)
    if as_json:
        typer.echo(encode(dossier))
        return
    console = terminal(soft_wrap=True)
    session = dossier["session"]
    _verdict(console, dossier["verdict"], session)
    _hangs(console, session["hangs"])
    _exit(console, session["exit"])
    _events(console, dossier["events"], session)
    _state(console, dossier["state_before"], session["state"])
    _metrics(console, dossier["metrics"])


def _verdict(console: Console, verdict: JsonObject, session: JsonObject) -> None:
    style = STYLES[verdict["status"]]
    console.print()
    say(console, f"[{style} reverse] {verdict['status'].upper()} [/] [{style}]{safe(verdict['sentence'])}[/]")
    console.print()
    where = [
        f"pid {session['pid']}" if session["pid"] else "",
        session["hostname"] or "",
        session["environment"] or "",
    ]
    say(console, f"[bold]{safe(program_of(session))}[/]  {safe('  '.join(filter(None, where)))}")
    say(console, f"[dim]session[/]  {session['id']}")
    if session["parent_session_id"]:
        say(console, f"[dim]part of[/]  {safe(session['parent_session_id'])}")
    if session["tags"]:
        say(console, f"[dim]tags[/]     {safe(', '.join(session['tags']))}")
    ended = f"  [dim]ended[/] {_moment(session['ended_at'])}" if session["ended_at"] else ""
    say(console, f"[dim]began[/]    {_moment(session['created_at'])}{ended}")
    say(console, f"[dim]heard[/]    {_moment(session['updated_at'])}")
    if session["lost"]:
        say(console, f"[yellow]{session['lost']} records were made and never arrived[/]")


def _hangs(console: Console, hangs: list[JsonObject]) -> None:
    if not hangs:
        return
    _heading(console, "Where it hung", f"the last {_HANGS} of {len(hangs)}" if len(hangs) > _HANGS else "")
    for hang in reversed(hangs[-_HANGS:]):
        lasted = "lasts" if hang["end"] is None else f"{hang['seconds']:.1f} s"
        say(
            console,
            f"[dim]{_moment(hang['start'])}[/]  [bold red]{lasted}[/]  {safe(hang['title'])}  "
            f"[dim]monitor {safe(hang['monitor'])}, fingerprint {hang['fingerprint']}[/]",
        )
        for threads, frames in _alike(_blocked_first(hang)):
            _stack(console, threads, frames)
        _tasks(console, hang.get("asyncio"))


def _blocked_first(hang: JsonObject) -> list[JsonObject]:
    stacks = [stack for stack in hang.get("stacks", []) if isinstance(stack, dict)]
    blocked = [stack for stack in stacks if stack.get("thread") == hang.get("thread")]
    return blocked + [stack for stack in stacks if stack not in blocked]


def _alike(stacks: list[JsonObject]) -> list[tuple[list[str], list[JsonObject]]]:
    """The threads, those together that stand in the same frames, and the frames."""
    found: dict[bytes, tuple[list[str], list[JsonObject]]] = {}
    for stack in stacks:
        frames = stack.get("frames")
        known = [each for each in (frames if isinstance(frames, list) else []) if isinstance(each, dict)]
        found.setdefault(encode(known), ([], known))[0].append(str(stack.get("thread", "a thread")))
    return list(found.values())


def _stack(console: Console, threads: list[str], frames: list[JsonObject]) -> None:
    more = f" [dim]and {len(threads) - _THREADS:,} more alike[/]" if len(threads) > _THREADS else ""
    say(console, f"  [bold]{safe(', '.join(threads[:_THREADS]))}[/]{more}")
    again = 0
    for frame, inner in zip(frames, [*frames[1:], None], strict=True):
        if frame == inner:
            again += 1
            continue
        place = f"{PurePosixPath(str(frame.get('file', '?'))).name}:{frame.get('line', '?')}"
        function = str(frame.get("function", "?"))
        style = "default" if inner else "bold"
        code = short(str(frame.get("code") or ""))
        times = f"  [dim]{again + 1} times[/]" if again else ""
        say(
            console,
            f"    [dim]{safe(f'{place:<28}')}[/] [{style}]{safe(f'{function:<24}')}[/] [cyan]{safe(code)}[/]{times}",
        )
        again = 0


def _tasks(console: Console, loop: Any) -> None:
    """What else waited for the event loop that hung."""
    if not isinstance(loop, dict):
        return
    running = "idle" if loop.get("idle") is True else f"running {loop.get('running')}"
    tasks = loop.get("tasks", "?")
    say(console, f"  [bold]event loop[/]  {safe(running)}, {safe(tasks)} {'task' if tasks == 1 else 'tasks'}")
    pending = loop.get("pending")
    for task in (pending if isinstance(pending, list) else [])[:_LINES]:
        if isinstance(task, dict):
            # Of earlier clients the task's own line alone.
            frames = read_frames(task.get("frames")) or read_frames([task])
            place, code = place_of(frames)
            say(
                console,
                f"    [bold]{safe(task.get('task'))}[/]  {safe(task.get('coroutine'))}  [dim]awaits[/] {safe(place)}  [cyan]{safe(short(code))}[/]",
            )


def _exit(console: Console, details: JsonObject | None) -> None:
    if not details:
        return
    _heading(console, "How it went", "")
    for key, value in details.items():
        if key not in _TEXTS and value != "":
            say(console, f"  [dim]{safe(key)}[/]  {safe(short(_in_words(value)))}")
    for key in _TEXTS:
        if isinstance(text := details.get(key), str) and text.strip():
            lines, end = (
                (_fallen_first(text), "first") if key == "dump" else (text.rstrip().splitlines(), "last")
            )
            say(console, f"  [dim]{f'{key}  {_cut(lines, end)}'.rstrip()}[/]")
            for line in lines[:_LINES] if end == "first" else lines[-_LINES:]:
                say(console, f"    {safe(line.expandtabs())}")


def _fallen_first(dump: str) -> list[str]:
    r"""The interpreter's last words with the thread that fell over before all others.

    >>> _fallen_first("Fatal Python error: Aborted\n\nThread 0x1 (most recent call first):\n  a\n\nCurrent thread 0x2:\n  b")
    ['Fatal Python error: Aborted', '', 'Current thread 0x2:', '  b', '', 'Thread 0x1 (most recent call first):', '  a']
    """
    head, *threads = re.split(r"\n+(?=(?:Current thread|Thread) 0x)", dump.rstrip())
    threads.sort(key=lambda thread: not thread.startswith("Current"))
    return "\n\n".join([head, *threads]).splitlines()


def _in_words(value: Any) -> str:
    """An object's keys and numbers in a line; all else as it is."""
    if not isinstance(value, dict):
        return as_text(value)
    return ", ".join(f"{str(key).replace('_', ' ')} {as_text(each)}" for key, each in value.items())


def _events(console: Console, events: list[JsonObject], session: JsonObject) -> None:
    """The last; with the end of each traceback but the one that was told already, and the day where it is not the last."""
    if not events:
        return
    _heading(console, "Its last events", "")
    told = (session["exit"] or {}).get("traceback")
    last_day = (session["ended_at"] or session["updated_at"])[:10]
    for event in events[-_EVENTS:]:
        data = {key: value for key, value in event["data"].items() if key not in NOT_IN_A_LINE}
        words = " ".join(filter(None, [event["message"], as_text(data) if data else ""]))
        style = LEVEL_STYLES.get(event["level"], "default")
        when = time_beside(event["timestamp"], last_day)
        say(
            console,
            f"  [dim]{when}[/] [{style}]{safe(event['name'])}[/]  {safe(short(words))}",
        )
        if isinstance(trace := event["data"].get("traceback"), str) and trace != told:
            for line in trace.rstrip().splitlines()[-_TRACE_LINES:]:
                say(console, f"    [dim]{safe(line.expandtabs())}[/]")


def _state(console: Console, before: JsonObject, state: JsonObject) -> None:
    if state:
        _heading(console, "Its state", _cut(state))
    for key, value in list(state.items())[:_LINES]:
        say(console, f"  [dim]{safe(key)}[/]  {safe(short(as_text(value)))}")
    changed = differences(before["state"], state) if before["state"] else []
    if changed:
        of = _cut(changed)
        _heading(console, "What changed in it", f"in the last {before['seconds']:g} s{of and ', '}{of}")
    for pointer, old, new in changed[:_LINES]:
        if old is not ABSENT:
            say(console, f"  [red]- {safe(pointer)}  {safe(short(as_text(old)))}[/]")
        if new is not ABSENT:
            say(console, f"  [green]+ {safe(pointer)}  {safe(short(as_text(new)))}[/]")


def _metrics(console: Console, metrics: list[JsonObject]) -> None:
    if not metrics:
        return
    _heading(console, "Its metrics", _cut(metrics))
    for series in metrics[:_LINES]:
        values = [point["value"] for point in series["points"]]
        tags = f" {{{', '.join(series['tags'])}}}" if series["tags"] else ""
        unit = f" {series['unit']}" if series["unit"] not in (None, "1") else ""
        # A counter's points are what was added: the last is no total.
        added = "+" if series["kind"] == "counter" and values[-1] >= 0 else ""
        say(
            console,
            f"  {safe(series['name'] + tags)}  [cyan]{_sparkline(values)}[/]  [bold]{added}{number(values[-1])}[/]{safe(unit)}",
        )


def _sparkline(values: list[float]) -> str:
    low, high = min(values), max(values)
    if high == low:
        return _BARS[0] * len(values)
    # Halved first: the distance of two floats may be more than a float holds.
    span = high / 2 - low / 2
    return "".join(_BARS[round((value / 2 - low / 2) / span * (len(_BARS) - 1))] for value in values)


def _cut(what: Sized, end: str = "first") -> str:
    """What is said where not all is shown."""
    return f"the {end} {_LINES} of {len(what):,}; --json has all" if len(what) > _LINES else ""


def _heading(console: Console, title: str, more: str) -> None:
    console.print(f"\n[bold underline]{title}[/]" + (f" [dim]{more}[/]" if more else ""))


def _moment(timestamp: str) -> str:
    return f"{timestamp[:10]} {time_of_day(timestamp)}"
