"""The status machine as a picture, from ``datacat.model.lifecycle``.

What every status that is not final answers alike is one arrow from the frame around them.
"""

from collections.abc import Mapping
from typing import Final

from docs.generate.drawing import Box, Drawing, Point

from datacat.model.lifecycle import FINAL, TRANSITIONS, Status, Trigger

PLACES: Final[Mapping[Status, Point]] = {
    Status.ACTIVE: (130, 90),
    Status.HUNG: (130, 290),
    Status.LOST: (380, 190),
    Status.ENDED: (680, 90),
    Status.CRASHED: (680, 290),
}
"""Where each stands; a status without a place has no picture."""

Arrows = dict[tuple[Status | None, Status], list[str]]


def arrows(transitions: Mapping[Status, Mapping[Trigger, Status]], final: frozenset[Status]) -> Arrows:
    """What moves a session from one status (None: from any that is not final) to another."""
    found: Arrows = {}
    going = [status for status in transitions if status not in final]
    for trigger in Trigger:
        ends = {transitions[status][trigger] for status in going}
        common = ends.pop() if len(ends) == 1 else None
        if common in final:
            found.setdefault((None, common), []).append(trigger.value)
        for status, row in transitions.items():
            following = row[trigger]
            if following is not status and not (status in going and common in final):
                found.setdefault((status, following), []).append(trigger.value)
    return found


def draw(found: Arrows, places: Mapping[Status, Point], final: frozenset[Status]) -> str:
    """The picture of these arrows."""
    drawing = Drawing(736, 360, "What moves a session from one status to another")
    frame = drawing.frame(20, 20, 430, 325, "not over")
    boxes = {
        status: drawing.box(*place, 96, 38, status.value, "end" if status in final else "box")
        for status, place in places.items()
    }
    drawing.dot(42, 90, 6)
    drawing.arrow((48, 90), boxes[Status.ACTIVE])
    for (begin, end), words in found.items():
        both = (end, begin) in found
        start: Box | Point = (frame.x + frame.width / 2, places[end][1]) if begin is None else boxes[begin]
        drawing.arrow(start, boxes[end], ", ".join(words), 24 if both else 0)
    return drawing.svg()


def generate() -> str:
    """Of the table that holds."""
    return draw(arrows(TRANSITIONS, FINAL), PLACES, FINAL)
