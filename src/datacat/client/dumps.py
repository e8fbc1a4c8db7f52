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
        first: the ident of the thread to begin with.
    """
    stacks: dict[int, dict[str, Any]] = {}
    frames: list[dict[str, Any]] = []
    for line in text.splitlines():
        if thread := _THREAD.match(line):
            ident = int(thread[1], 16)
            name = names.get(ident) or thread["name"] or f"thread {ident}"
            frames = []
            stacks[ident] = {"thread": name, "ident": ident, "daemon": False, "frames": frames}
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
    ours = [each for each in stacks.values() if not _is_ours(each["frames"])]
    return sorted(ours, key=lambda each: (each["ident"] != first, each["thread"] != "MainThread"))


def _is_ours(frames: list[dict[str, Any]]) -> bool:
    """Whether a thread is one of datacat's own: their names are not printed."""
    return any("datacat/client/" in each["file"] and each["function"] == "_run" for each in frames)
