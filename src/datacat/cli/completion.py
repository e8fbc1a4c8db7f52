"""What a shell offers for a session's id: the sessions that began last, where the service says so at once.

Zsh evaluates what it is offered, so nothing that was recorded gets there but plain words.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import typer

from datacat.cli.service import day_and_time, program_of
from datacat.client.api import DatacatClient
from datacat.client.options import DEFAULT_URL
from datacat.model.errors import DatacatError

_TIMEOUT: Final = 0.5
"""Seconds that a person who pressed a key is kept waiting."""
_OFFERED: Final = 50
_ID: Final = re.compile(r"[0-9a-f-]{1,36}")
_NO_WORD: Final = re.compile(r"[^A-Za-z0-9 .,:+_-]")


def session_ids(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids that begin so, each with what tells it from others; none where the service does not answer."""
    try:
        client = DatacatClient(context.params.get("url") or DEFAULT_URL, timeout=_TIMEOUT)
        sessions = client.get_sessions(limit=_OFFERED)["sessions"]
    except (DatacatError, LookupError, ValueError):
        return []
    return list(offers(sessions, incomplete))


def offers(sessions: list[dict[str, Any]], incomplete: str) -> Iterable[tuple[str, str]]:
    r"""Those that begin with what was typed, in their order.

    >>> session = {"id": "0192-7", "product": "editor", "version": None, "status": "hung", "created_at": "2024-11-23T12:00:00Z"}
    >>> list(offers([session], "019"))
    [('0192-7', 'editor, hung, began 2024-11-23 12:00:00Z')]
    >>> list(offers([session], "02"))
    []
    >>> list(offers([session | {"product": "\\$(reboot)"}], ""))
    [('0192-7', '___reboot_, hung, began 2024-11-23 12:00:00Z')]
    """
    for session in sessions:
        if _ID.fullmatch(session["id"]) and session["id"].startswith(incomplete):
            yield (
                session["id"],
                _NO_WORD.sub(
                    "_",
                    f"{program_of(session)}, {session['status']}, began {day_and_time(session['created_at'])}",
                ),
            )
