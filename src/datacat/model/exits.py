"""How a program went, put together from what each watcher saw of it."""

from typing import Any, Final

import msgspec

from datacat.model.causes import KILLED_WHILE_HUNG, SIGNAL, UNKNOWN, says_more
from datacat.model.hangs import read_object
from datacat.model.limits import MAX_EXIT_BYTES
from datacat.model.records import Exit

Details = dict[str, Any]

_LONGEST_ESCAPE: Final = 6
"""Bytes of JSON that one character may take."""

_encode: Final = msgspec.json.Encoder().encode


def exit_details(record: Exit) -> Details:
    """What an exit record says: its ``cause``, its ``message`` and the keys of its data."""
    message = {} if record.message is None else {"message": record.message}
    return {**message, **read_object(record.data), "cause": record.cause}


def put_together(known: Details | None, more: Details) -> Details:
    """Two watchers' details as one; where both speak, the one whose cause says more is heard.

    >>> put_together({"cause": "unknown", "pid": 7}, {"cause": "signal", "signal": 9})
    {'cause': 'signal', 'pid': 7, 'signal': 9}
    """
    if known is None:
        return bounded(more)
    if says_more(more["cause"], than=known["cause"]):
        return bounded({**known, **more})
    return bounded({**more, **known})


def verdict(cause: str, *, hung: bool) -> str:
    """A crash's cause, given whether the program was hung when it went.

    >>> verdict("signal", hung=True), verdict("exception", hung=True)
    ('killed_while_hung', 'exception')
    """
    return KILLED_WHILE_HUNG if hung and cause in (SIGNAL, UNKNOWN) else cause


def bounded(details: Details, limit: int = MAX_EXIT_BYTES) -> Details:
    """No more than ``limit`` bytes of JSON: of a text that is too long the end is kept, as it says most.

    >>> bounded({"cause": "signal", "stderr": "x" * 100 + "last words"}, 96)
    {'cause': 'signal', 'stderr': 'last words'}
    """
    if len(_encode(details)) <= limit:
        return details
    room = limit - 2
    kept: Details = {}
    for key, value in sorted(details.items(), key=lambda item: (item[0] != "cause", len(_encode(item)))):
        size = len(_encode(key)) + len(_encode(value)) + 2
        if size > room and isinstance(value, str):
            longest = (room - len(_encode(key)) - 4) // _LONGEST_ESCAPE
            value = value[-longest:] if longest > 0 else None
            size = len(_encode(key)) + len(_encode(value)) + 2
        if value is not None and size <= room:
            kept[key] = value
            room -= size
    return kept
