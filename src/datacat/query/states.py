"""One session's state through time: as it was, what changed when, and between two moments."""

from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from datacat.model.state import ABSENT, JsonObject, differences
from datacat.store.port import Reader
from datacat.wire.timestamps import rfc3339


class StateView(Struct):
    """The state as the changes made up to ``at`` left it."""

    at: str
    state: JsonObject


class ChangeView(Struct):
    """One change: ``remove`` (JSON Pointers) goes first, then ``merge`` is merged in.

    ``number`` counts the session's changes from 1; ``timestamp`` is the program's.
    """

    number: int
    timestamp: str
    merge: Raw
    remove: Raw


class ChangePage(Struct):
    """Changes in the order in which they were made; ``next`` is the ``after`` of the next page, null on the last."""

    changes: list[ChangeView]
    next: int | None


class Difference(Struct, omit_defaults=True, kw_only=True):
    """One operation of a JSON Patch (RFC 6902), and what was there ``before``, where anything was."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: Any | UnsetType = UNSET
    before: Any | UnsetType = UNSET


class DiffView(Struct, rename={"since": "from", "until": "to"}):
    """What makes of the state at ``from`` the state at ``to``: a JSON Patch (RFC 6902)."""

    since: str
    until: str
    patch: list[Difference]


def at(reader: Reader, session_id: str, moment: int) -> StateView:
    """The state at a moment, in microseconds since the epoch.

    Raises:
        UnknownSession: there is none of this id.
    """
    return StateView(rfc3339(moment), reader.state_at(session_id, moment))


def changes(reader: Reader, session_id: str, after: int, limit: int) -> ChangePage:
    """The changes numbered above ``after``.

    Raises:
        UnknownSession: there is none of this id.
    """
    rows = reader.changes(session_id, after, limit + 1)
    shown = [
        ChangeView(number, rfc3339(row.time), row.merge, row.remove)
        for number, row in enumerate(rows[:limit], after + 1)
    ]
    return ChangePage(shown, after + limit if len(rows) > limit else None)


def diff(reader: Reader, session_id: str, since: int, until: int) -> DiffView:
    """The difference of two moments, in microseconds since the epoch; they may stand in any order.

    Raises:
        UnknownSession: there is none of this id.
    """
    before, after = reader.state_at(session_id, since), reader.state_at(session_id, until)
    return DiffView(
        rfc3339(since), rfc3339(until), [_difference(*each) for each in differences(before, after)]
    )


def _difference(path: str, old: Any, new: Any) -> Difference:
    if new is ABSENT:
        return Difference(op="remove", path=path, before=old)
    if old is ABSENT:
        return Difference(op="add", path=path, value=new)
    return Difference(op="replace", path=path, value=new, before=old)
