"""When silence is a hang, as a picture: what ``datacat.client.silence`` itself says of a few courses of events."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from docs.generate.drawing import Drawing

from datacat.client.silence import HeartbeatWatch, Hung, Recovered

TIMEOUT: Final = 5.0
END: Final = 20

Told = tuple[float, Hung | Recovered]


@dataclass(frozen=True)
class Course:
    """What happens in so many seconds; all times are seconds from the beginning.

    Args:
        name: what it is.
        beats: when the program gives its heartbeats.
        checks: when the monitor looks.
        pause: from when to when the program has announced a pause.
        working: from when to when the process uses a processor while the monitor cannot look.
    """

    name: str
    beats: Sequence[float]
    checks: Sequence[float] = tuple(range(1, END + 1))
    pause: tuple[float, float] | None = None
    working: tuple[float, float] | None = None
    grey: tuple[float, float] | None = field(default=None, kw_only=True)


_ABSENT: Final = (*range(1, 5), *range(14, END + 1))
_BEATS: Final = (0.5, 1.5, 2.5, 3.5, *(x + 0.5 for x in range(14, END)))

COURSES: Final = (
    Course("All is well", [x + 0.5 for x in range(END)]),
    Course("It hangs, and recovers", _BEATS),
    Course("A pause that was announced", _BEATS, pause=(3.6, 14.4), grey=(3.6, 14.4)),
    Course("The machine slept", _BEATS, _ABSENT, grey=(4, 14)),
    Course("It works so hard that nobody can look", _BEATS, _ABSENT, working=(4, 14)),
)


def told(course: Course, timeout: float = TIMEOUT) -> list[Told]:
    """What the watch says, and when."""
    watch = HeartbeatWatch(0.0, timeout, 1.0)
    found: list[Told] = []
    for now in course.checks:
        if course.pause is not None and not watch.paused and course.pause[0] <= now < course.pause[1]:
            watch.pause()
        elif course.pause is not None and watch.paused and now >= course.pause[1]:
            watch.resume(course.pause[1])
        begin, end = course.working or (0.0, 0.0)
        worked = max(0.0, min(now, end) - begin)
        beat = max((beat for beat in course.beats if beat <= now), default=0.0)
        if said := watch.check(float(now), beat, worked=worked):
            found.append((float(now), said))
    return found


def draw(courses: Sequence[Course]) -> str:
    """A line of time for each course: heartbeats as dots, looks as strokes, what is told as words."""
    drawing = Drawing(720, 76 * len(courses) + 34, "What is told of a few courses of events")

    def x(seconds: float) -> float:
        return 20 + 34 * seconds

    for index, course in enumerate(courses):
        y = 48 + 76 * index
        findings = told(course)
        drawing.text(20, y - 24, course.name, anchor="start")
        if not findings:
            drawing.text(700, y - 24, "no hang", anchor="end", look="quiet")
        if course.grey:
            begin, end = map(x, course.grey)
            drawing.line(begin, y, end, y, "shade")
        if course.working:
            begin, end = map(x, course.working)
            drawing.line(begin, y, end, y, "work")
        drawing.line(x(0), y, x(END), y, "axis")
        for check in course.checks:
            drawing.line(x(check), y + 3, x(check), y + 9, "axis")
        for beat in course.beats:
            drawing.dot(x(beat), y, 4)
        for moment, said in findings:
            word, look, anchor = (
                ("hung", "bad", "end") if isinstance(said, Hung) else ("recovered", "good", "start")
            )
            drawing.line(x(moment), y - 12, x(moment), y + 12, look)
            drawing.text(x(moment), y + 27, f"{word} ({said.seconds:g} s)", anchor=anchor, look="label")
    bottom = 76 * len(courses) + 24
    drawing.dot(24, bottom - 4, 4)
    drawing.text(34, bottom, "a heartbeat", anchor="start", look="quiet")
    drawing.line(134, bottom - 7, 134, bottom - 1, "axis")
    drawing.text(144, bottom, "a look, every second", anchor="start", look="quiet")
    drawing.text(700, bottom, f"timeout {TIMEOUT:g} s", anchor="end", look="quiet")
    return drawing.svg()


def generate() -> str:
    """Of the courses above."""
    return draw(COURSES)
