"""The life of a session, as a table.

What must hold: a session's status follows from its records alone, in their order. ``crashed`` is
final. ``ended`` is left for ``crashed`` by a correction, and by nothing else: an end that merely
came with the interpreter's, and that another watcher saw to be a bad one. ``hung`` is left by
recovering or by any end, and a session that was hung when it ended says so for ever.
The table below is the whole rule; the diagram in the documentation is drawn from it.
"""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """Where a session stands."""

    ACTIVE = "active"
    HUNG = "hung"
    ENDED = "ended"
    CRASHED = "crashed"
    LOST = "lost"


class Trigger(StrEnum):
    """What can move it."""

    CONTACT = "contact"
    HANG = "hang"
    RECOVERY = "recovery"
    GOODBYE = "goodbye"
    CRASH = "crash"
    CORRECTION = "correction"
    SILENCE = "silence"


_A, _H, _E, _C, _L = Status.ACTIVE, Status.HUNG, Status.ENDED, Status.CRASHED, Status.LOST

TRANSITIONS: Final[dict[Status, dict[Trigger, Status]]] = {
    _A: {
        Trigger.CONTACT: _A,
        Trigger.HANG: _H,
        Trigger.RECOVERY: _A,
        Trigger.GOODBYE: _E,
        Trigger.CRASH: _C,
        Trigger.CORRECTION: _C,
        Trigger.SILENCE: _L,
    },
    _H: {
        Trigger.CONTACT: _H,
        Trigger.HANG: _H,
        Trigger.RECOVERY: _A,
        Trigger.GOODBYE: _E,
        Trigger.CRASH: _C,
        Trigger.CORRECTION: _C,
        Trigger.SILENCE: _L,
    },
    _L: {
        Trigger.CONTACT: _A,
        Trigger.HANG: _H,
        Trigger.RECOVERY: _A,
        Trigger.GOODBYE: _E,
        Trigger.CRASH: _C,
        Trigger.CORRECTION: _C,
        Trigger.SILENCE: _L,
    },
    _E: {**dict.fromkeys(Trigger, _E), Trigger.CORRECTION: _C},
    _C: dict.fromkeys(Trigger, _C),
}

FINAL: Final = frozenset({Status.ENDED, Status.CRASHED})
"""Where a program is over; nothing that it did before makes it run again."""

RUNNING: Final = frozenset({Status.ACTIVE, Status.HUNG})
"""What ``active`` in the JSON is true for: a hung program is still running."""

HANG_EVENTS: Final = frozenset({"application_appears_hung", "app_appears_hung"})
"""The founding design writes the event's name both ways."""

RECOVERY_EVENTS: Final = frozenset({"application_recovered"})

STOP_EVENTS: Final = frozenset({"application_stopped", "application_continued"})
"""The watchdog's own words; of any other origin they are events like others."""

CONTACT_LOST: Final = "contact_lost"
"""The server's own word; of any other origin it is an event like others."""


def next_status(status: Status, trigger: Trigger) -> Status:
    """The status after ``trigger``; every pair has an answer.

    >>> next_status(Status.ACTIVE, Trigger.HANG)
    <Status.HUNG: 'hung'>
    >>> next_status(Status.ENDED, Trigger.HANG)
    <Status.ENDED: 'ended'>
    """
    return TRANSITIONS[status][trigger]
