"""Which hangs and which crashes are the same one: a stable hash over what was running.

What must hold: the same place in the program has the same fingerprint in every version of it,
wherever it is installed, however its lines move. So only names count: the file's stem and the
qualified function. Frames that every thread and every event loop begins with say nothing and are
left out, and a recursion counts once however deep it went.

What is read here was sent by anybody: whatever has not the expected shape is not there.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

from datacat.model.causes import EXCEPTION, INTERPRETER_CRASH, KILLED_WHILE_HUNG


class Frame(Struct, frozen=True):
    """One line of a stack."""

    file: str
    line: int
    function: str
    code: str = ""

    @property
    def name(self) -> str:
        r"""What of it stays the same from version to version.

        >>> Frame("/srv/v1/worker.py", 31, "Worker.run").name
        'worker:Worker.run'
        >>> Frame("C:\\app\\jobs\\__init__.py", 2, "start").name
        'jobs:start'
        """
        *folders, base = re.split(r"[/\\]", self.file)
        stem = base.partition(".")[0]
        if stem == "__init__" and folders:
            stem = folders[-1]
        return f"{stem}:{self.function}"


_EVERYWHERE: Final = frozenset(
    f"{stem}:{owner}{function}"
    for stem, owners, functions in (
        ("threading", ("Thread.", ""), ("_bootstrap", "_bootstrap_inner", "run")),
        ("runners", ("Runner.", ""), ("run",)),
        ("base_events", ("BaseEventLoop.", ""), ("run_until_complete", "run_forever", "_run_once")),
        ("events", ("Handle.", ""), ("_run",)),
    )
    for owner in owners
    for function in functions
)
_TRACEBACK: Final = "Traceback (most recent call last)"
_TRACEBACK_FRAME: Final = re.compile(r'File "([^"\n]*)", line (\d{1,9}), in (\S+)')
_DUMP_FRAME: Final = re.compile(r'File "([^"\n]*)", line (\d{1,9}) in (\S+)')
_DUMP_THREAD: Final = re.compile(r"(?m)^(?=(?:Current thread|Thread) 0x)")


def hang_fingerprint(data: dict[str, Any]) -> str:
    """The fingerprint of a hang report's data; without stacks, of the monitor alone.

    >>> at_home = [{"file": "/home/me/worker.py", "line": 31, "function": "main"}]
    >>> installed = [{"file": "/opt/v2/worker.py", "line": 40, "function": "main"}]
    >>> first, second = ({"stacks": [{"thread": "MainThread", "frames": f}]} for f in (at_home, installed))
    >>> hang_fingerprint(first) == hang_fingerprint(second)
    True
    """
    names = _telling([*steady_frames(data), *awaited_alone(data)])
    monitor = data.get("monitor")
    return digest("hang", *(names or [str(monitor)[:200] if isinstance(monitor, str) else ""]))


def crash_fingerprint(cause: str, details: dict[str, Any], hang: str | None = None) -> str:
    r"""The fingerprint of a crash.

    Args:
        cause: a word of :mod:`datacat.model.causes`.
        details: what the exit records said.
        hang: the fingerprint of the hang that the program was in.

    >>> text = 'Traceback (most recent call last):\n  File "/a/b.py", line 3, in f\nValueError: 7'
    >>> moved = text.replace("/a/", "/c/").replace("3", "4").replace("7", "8")
    >>> one, other = ({"type": "ValueError", "traceback": each} for each in (text, moved))
    >>> crash_fingerprint("exception", one) == crash_fingerprint("exception", other)
    True
    """
    if cause == KILLED_WHILE_HUNG and hang:
        return digest(cause, hang)
    frames = crash_frames(details)
    if cause == EXCEPTION or (cause == INTERPRETER_CRASH and frames):
        return digest(cause, _text(details, "module"), _text(details, "type"), *_telling(frames))
    return digest(cause, *(str(details.get(key, ""))[:40] for key in ("signal", "exit_code")))


def steady_frames(data: dict[str, Any]) -> list[Frame]:
    """The blocked thread's frames that all samples agree on, outermost first.

    A spinning loop is seen in another of its callees each time: what stays is the loop.
    """
    frames = blocked_frames(data)
    samples = data.get("samples")
    stacks = [
        read_frames(each.get("frames"))
        for each in (samples if isinstance(samples, list) else ())
        if isinstance(each, dict)
    ]
    stacks = [each for each in stacks if each]
    if not stacks:
        return frames
    steady = frames or stacks[0]
    for other in stacks:
        common = 0
        for mine, theirs in zip(steady, other, strict=False):
            if mine.name != theirs.name:
                break
            common += 1
        steady = steady[:common]
    return steady or frames or stacks[0]


def blocked_frames(data: dict[str, Any]) -> list[Frame]:
    """The frames of the thread whose heartbeat stopped; of the first one, where that is not said.

    One that has ended has none, and the others are not to blame.
    """
    if data.get("thread_ended") is True:
        return []
    stacks = data.get("stacks")
    known = [each for each in (stacks if isinstance(stacks, list) else ()) if isinstance(each, dict)]
    thread = data.get("thread")
    for stack in known:
        if thread is not None and stack.get("thread") == thread:
            return read_frames(stack.get("frames"))
    return read_frames(known[0].get("frames")) if known else []


def is_idle(data: dict[str, Any]) -> bool:
    """Whether the thread runs an event loop that waits for what wakes one of its tasks."""
    loop = data.get("asyncio")
    return isinstance(loop, dict) and loop.get("idle") is True


def awaited_alone(data: dict[str, Any]) -> list[Frame]:
    """The frames of the one task of an idle event loop that waits for no other; none of more, as any of them may be it."""
    loop = data["asyncio"] if is_idle(data) else {}
    pending, total = loop.get("pending"), loop.get("tasks")
    tasks = [each for each in pending if isinstance(each, dict)] if isinstance(pending, list) else []
    if isinstance(total, int) and total > len(tasks):  # not all are told
        return []
    last = [task for task in tasks if task.get("for_tasks") is not True]
    return read_frames(last[0].get("frames")) if len(last) == 1 else []


def read_frames(value: Any) -> list[Frame]:
    """Frames as they are sent; what has no function is left out."""
    frames = []
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict) and isinstance(each.get("function"), str):
            line = each.get("line")
            frames.append(
                Frame(
                    _text(each, "file"),
                    line if isinstance(line, int) else 0,
                    each["function"],
                    _text(each, "code"),
                )
            )
    return frames


def crash_frames(details: dict[str, Any]) -> list[Frame]:
    """Where an exception was raised, or the interpreter fell over; outermost first."""
    if text := _text(details, "traceback"):
        return _found(_TRACEBACK_FRAME, text.rpartition(_TRACEBACK)[2])
    alone, *threads = _DUMP_THREAD.split(_text(details, "dump"))
    # Where none is the current one, it was no thread of Python's, or the dump broke off before it.
    fallen = next((each for each in threads if each.startswith("Current thread")), alone)
    return _found(_DUMP_FRAME, fallen)[::-1]


def digest(*parts: str) -> str:
    """16 hexadecimal digits over the parts."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=8).hexdigest()


def _found(pattern: re.Pattern[str], text: str) -> list[Frame]:
    return [Frame(file, int(line), function) for file, line, function in pattern.findall(text)]


def _telling(frames: Sequence[Frame]) -> list[str]:
    names = [frame.name for frame in frames]
    return list(_once_in_a_row(name for name in names if name not in _EVERYWHERE)) or names


def _once_in_a_row(names: Iterable[str]) -> Iterable[str]:
    before = None
    for name in names:
        if name != before:
            yield name
        before = name


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""
