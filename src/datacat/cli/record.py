"""``datacat event``, ``metric`` and ``state``: what a shell script has to say."""

import os
from collections.abc import Callable
from functools import reduce
from math import isfinite
from typing import Annotated, Any

import msgspec
import typer

from datacat.cli.completion import session_ids
from datacat.cli.service import Url, client_of, fail, fail_because
from datacat.client.api import DatacatClient
from datacat.client.claim import offered_by
from datacat.client.options import DEFAULT_URL
from datacat.model.errors import InvalidInput, RequestFailed
from datacat.model.ids import DIGITS
from datacat.model.records import Kind, Level
from datacat.model.state import JsonObject, merge

SessionId = Annotated[
    str | None,
    typer.Option(
        "--session",
        help="The session's id, or its first digits. [default: that of the datacat run which this is a part of]",
        autocompletion=session_ids,
    ),
]
Pairs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="A value is JSON where it can be read so, else text. A JSON object will do as well.",
    ),
]


def event(
    name: Annotated[str, typer.Argument(help="What happened.")],
    data: Pairs = None,
    level: Annotated[Level, typer.Option(help="How grave it is.")] = "info",
    message: Annotated[str | None, typer.Option(help="A sentence for people.")] = None,
    session: SessionId = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Record an event: datacat event copied files=12 to=/backup."""
    named, objects = told(data or [])
    values = reduce(merge, objects, named)
    _record(session, url, lambda client, of: client.log_event(of, name, values, level=level, message=message))


def metric(
    name: Annotated[str, typer.Argument(help="What was measured.")],
    value: Annotated[float, typer.Argument(help="The number.")],
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be said more than once.")] = None,
    kind: Annotated[Kind, typer.Option(help="What the number is.")] = "gauge",
    unit: Annotated[str | None, typer.Option(help="The unit, as UCUM writes it: s, By, 1.")] = None,
    session: SessionId = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Record a metric: datacat metric backup_size 1234567 --unit By."""
    if not isfinite(value):
        raise typer.BadParameter(
            f"{value} is no number that can be kept: leave out what was not measured", param_hint="VALUE"
        )
    _record(
        session, url, lambda client, of: client.log_metric(of, name, value, tag or [], kind=kind, unit=unit)
    )


def state(
    changes: Pairs = None,
    session: SessionId = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Merge into the state; dots in a key lead into objects: datacat state step=copy disk.free=12."""
    if not changes:
        raise typer.BadParameter("say what is to be merged: datacat state step=copy")
    named, objects = told(changes)
    merged = reduce(merge, objects, nested(named))
    _record(session, url, lambda client, of: client.update_state(of, merged))


def told(texts: list[str]) -> tuple[JsonObject, list[JsonObject]]:
    """Each ``KEY=VALUE`` in one object, and the objects that were given as such.

    >>> told(["files=12", "to=/backup", "ok=true", 'open=["w1"]', "note=a=b", "empty="])
    ({'files': 12, 'to': '/backup', 'ok': True, 'open': ['w1'], 'note': 'a=b', 'empty': ''}, [])
    >>> told(["step=copy", '{"disk": {"free": 12}}'])
    ({'step': 'copy'}, [{'disk': {'free': 12}}])
    """
    found: JsonObject = {}
    objects: list[JsonObject] = []
    for text in texts:
        if text.lstrip().startswith("{"):
            try:
                objects.append(msgspec.json.decode(text, type=dict[str, Any]))
            except msgspec.DecodeError as error:
                raise typer.BadParameter(f"{text!r} is not a JSON object: {error}") from None
            continue
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(
                f"expected KEY=VALUE or a JSON object, found {text!r}: write {text or 'key'}=…"
            )
        try:
            found[key] = msgspec.json.decode(value.encode())
        except msgspec.DecodeError:
            found[key] = value
    return found, objects


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """The object whose keys with dots are objects of their own.

    >>> nested({"disk.free": 12, "step": "copy", "disk.used": 3})
    {'disk': {'free': 12, 'used': 3}, 'step': 'copy'}
    """
    whole: dict[str, Any] = {}
    for path, value in flat.items():
        *above, last = path.split(".")
        inner = whole
        for step in above:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                raise typer.BadParameter(f"{path} leads through {step}, which is given a value of its own")
        inner[last] = value
    return whole


def _whole(client: DatacatClient, session_id: str) -> str:
    """The id that begins so; one that is whole already is not asked for."""
    if len(session_id.replace("-", "")) >= DIGITS:
        return session_id
    try:
        whole: str = client.get_session(session_id, events=False, metrics=False)["id"]
    except RequestFailed as error:
        if error.status == 403:
            fail(f"{error.detail}: with this one, give the session's id whole")
        raise
    return whole


def _record(session: str | None, url: str, call: Callable[[DatacatClient, str], None]) -> None:
    of_run = offered_by(os.environ)
    of = session or of_run
    if of is None:
        fail("of which session? Pass --session ID, or run this within: datacat run -- PROGRAM")
    client = client_of(url)
    try:
        of = _whole(client, of)
        try:
            call(client, of)
        except RequestFailed as error:
            if error.code != "unknown_session" or of != of_run:
                raise
            # The run's own record of its start is still on its way; what is said twice of a session is one.
            client.register_session(id=of)
            call(client, of)
    except (RequestFailed, InvalidInput) as error:
        fail_because(error, url, of)
