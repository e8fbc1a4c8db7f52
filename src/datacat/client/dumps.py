"""Stacks as ``faulthandler`` prints them, in the shape of :func:`datacat.client.stacks.all_stacks`."""

import linecache
import re
from typing import Any, Final

from datacat.client.stacks import STAND_INS

_THREAD: Final = re.compile(r"(?:Current t|T)hread (0x[0-9a-f]+)(?: \[(?P<name>[^\]]*)\])?")
_FRAME: Final = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+|\?\?\?) in (?P<function>.*)')


def parse(text: str, names: dict[int, str], first: int) -> list[dict[str, Any]]:
    """The threads of the last dump in ``text``.

    Args:
        text: what was printed; cut anywhere.
        names: of the threads that are known, by ident.
        first: the ident of the thread to begin with; where it was not printed, it is there without frames.
    """
    stacks: dict[int, dict[str, Any]] = {}
    frames: list[dict[str, Any]] = []
    for line in text.splitlines():
        if thread := _THREAD.match(line):
            ident = int(thread[1], 16)
            frames = []
            stacks[ident] = _stack(ident, names.get(ident) or thread["name"], frames)
        elif (frame := _FRAME.match(line)) and not frame["file"].endswith(STAND_INS):
            number = int(frame["line"]) if frame["line"].isdigit() else 0
            frames.insert(
                0,
                {
                    "file": frame["file"],
                    "line": number,
                    "function": frame["function"],
                    "code": linecache.getline(frame["file"], number).strip()[:120],
                },
            )
    if first and stacks:  # a hundred threads are printed, and no other is to stand in the place of this one
        stacks.setdefault(first, _stack(first, names.get(first), []))
    theirs = [each for each in stacks.values() if not _is_ours(each["frames"])]
    return sorted(theirs, key=lambda each: (each["ident"] != first, each["thread"] != "MainThread"))


def _stack(ident: int, name: str | None, frames: list[dict[str, Any]]) -> dict[str, Any]:
    return {"thread": name or f"thread {ident}", "ident": ident, "daemon": False, "frames": frames}


def _is_ours(frames: list[dict[str, Any]]) -> bool:
    """Whether a thread is one of datacat's own: their names are not printed."""
    return any("datacat/client/" in each["file"] and each["function"] == "_run" for each in frames)
