"""A process that stands still: it was stopped by a signal, or is held by a debugger."""

from msgspec import Struct

from datacat.model.hangs import read_object
from datacat.model.records import Event

_STOPPED = "application_stopped"


class Stop(Struct, frozen=True):
    """Since when, in microseconds since the epoch on the program's clock, and by what, in words."""

    at: int
    by: str


def stop_of(event: Event) -> Stop | None:
    """What a watcher tells: a stop, or that the program goes on."""
    if event.name != _STOPPED:
        return None
    by = read_object(event.data).get("by")
    return Stop(event.time, by[:100] if isinstance(by, str) and by else "a signal")
