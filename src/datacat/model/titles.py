"""Verdicts in a few words, for people."""

import re
import signal
from typing import Any, Final

from datacat.model import causes
from datacat.model.fingerprint import crash_frames
from datacat.model.hangs import Hang, place_of
from datacat.model.lifecycle import Status
from datacat.model.session import Session
from datacat.model.terminal import ESCAPES

_LONGEST: Final = 300

_WORDS: Final = {
    causes.OUT_OF_MEMORY: "killed by the kernel, out of memory",
    causes.UNKNOWN: "gone without a word",
}


_OWN_HAND: Final = frozenset({"SIGABRT"})
"""Signals that a program sends itself, having said why."""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")

_ENDINGS: Final = {
    causes.CLEAN: "ended normally",
    causes.INTERRUPTED: "ended, interrupted by SIGINT",
    causes.REPLACED: "ended, replaced by another program",
}


def crash_title(cause: str, details: dict[str, Any], place: str = "") -> str:
    r"""How a program crashed.

    Args:
        cause: a word of :mod:`datacat.model.causes`.
        details: what the exit records said.
        place: where it hung, when it was hung.

    >>> crash_title("signal", {"signal": 9})
    'killed by SIGKILL'
    >>> crash_title("exit_code", {"exit_code": 1, "said": "no such file"})
    'exit code 1: no such file'
    >>> crash_title("exit_code", {"exit_code": 2, "stderr": "reading\ntar: /srv: No space left on device\n"})
    'exit code 2; its last words: tar: /srv: No space left on device'
    >>> crash_title("killed_while_hung", {}, "Queue.get (worker.py:31)")
    'killed while hung in Queue.get (worker.py:31)'
    >>> text = 'Traceback (most recent call last):\n  File "/a/b.py", line 3, in f\nValueError: 7'
    >>> crash_title("exception", {"type": "ValueError", "message": "7", "traceback": text})
    'ValueError: 7, in f (b.py:3)'
    >>> crash_title("exception", {"type": "ExceptionGroup", "message": "2 failed", "exceptions": ["ValueError: 7", "KeyError"]})
    'ExceptionGroup: 2 failed: ValueError: 7, and 1 more'
    """
    by = signal_name(details)
    match cause:
        case causes.SIGNAL:
            words = f"killed by {by or 'a signal'}" + (_last_words(details) if by in _OWN_HAND else "")
        case causes.EXIT_CODE:
            said = _short(details.get("said"))
            words = f"exit code {_short(details.get('exit_code', 'not zero'))}"
            words += f": {said}" if said else _last_words(details)
        case causes.EXCEPTION:
            message = _short(details.get("message"))
            words = _short(details.get("type")) or "exception"
            words += f": {message}" if message else ""
            words += _grouped(details.get("exceptions"))
        case causes.KILLED_WHILE_HUNG:
            words = (
                (f"killed by {by}" if by else "killed") + " while hung" + (f" in {place}" if place else "")
            )
        case causes.INTERPRETER_CRASH:
            words = "the interpreter crashed" + (f" by {by}" if by else "")
        case _:
            words = _WORDS.get(cause, cause)
    framed = cause in (causes.EXCEPTION, causes.INTERPRETER_CRASH)
    where, _ = place_of(crash_frames(details) if framed else [])
    return f"{words}, in {where}" if where else words


def _last_words(details: dict[str, Any]) -> str:
    """What it printed last, of a program that says itself why it ends."""
    stderr = details.get("stderr")
    lines = _CONTROL.sub("", ESCAPES.sub("", stderr)).split("\n") if isinstance(stderr, str) else []
    last = next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")
    return f"; its last words: {_short(last)}" if last else ""


def _grouped(lines: Any) -> str:
    """What a group is made of says more than its own message, which a library made up."""
    if not isinstance(lines, list) or not lines:
        return ""
    more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    return f": {_short(lines[0])}{more}"


def sentence(session: Session, now: int) -> str:
    """The verdict on a session, in one plain sentence; ``now`` is in microseconds since the epoch."""
    hang = next((each for each in reversed(session.recent_hangs) if not each.recovered), None)
    match session.status:
        case Status.CRASHED:
            return f"crashed: {_crashed(session, hang)}"
        case Status.HUNG:
            return f"hung for {_long(hang, now)}, {hang.title}" if hang else "hung"
        case Status.LOST:
            stopped = f"; stopped by {session.stopped.by} when last heard of" if session.stopped else ""
            silent = (now - (session.silent_since or session.updated_at)) / 1e6
            promised = (
                f"silent for {silent:.1f} s, having promised contact every {session.contact_timeout:g} s"
            )
            return (
                f"lost: {promised}; {hang.title} when last heard of" if hang else f"lost: {promised}{stopped}"
            )
        case Status.ENDED:
            words = _ENDINGS.get(session.cause or "", "ended")
            return f"{words}, while {_hung(hang, now)}" if hang else words + _hangs_in_all(session)
        case Status.ACTIVE:
            return (_stopped(session, now) or "running") + _hangs_in_all(session)


def _crashed(session: Session, hang: Hang | None) -> str:
    cause, details = session.cause or causes.UNKNOWN, session.exit or {}
    end = session.ended_at or 0
    if not session.hung_at_end:
        stopped = _stopped(session, end)
        return crash_title(cause, details) + (f", while {stopped}" if stopped else "")
    if cause != causes.KILLED_WHILE_HUNG:
        return f"{crash_title(cause, details)}, while {_hung(hang, end)}"
    by = signal_name(details)
    return (f"killed by {by}" if by else "killed") + f" while {_hung(hang, end)}"


def _hung(hang: Hang | None, now: int) -> str:
    if hang is None:
        return "hung"
    return f"hung for {_long(hang, now)}" + (f" in {hang.place}" if hang.place else "")


def _stopped(session: Session, now: int) -> str:
    stop = session.stopped
    return f"stopped by {stop.by} for {max(0, now - stop.at) / 1e6:.1f} s" if stop else ""


def _long(hang: Hang, now: int) -> str:
    seconds = max(0, now - hang.started_at) / 1e6 if hang.seconds is None else hang.seconds
    return f"{seconds:.1f} s"


def _hangs_in_all(session: Session) -> str:
    if not session.hangs:
        return ""
    times = "once" if session.hangs == 1 else f"{session.hangs} times"
    return f"; it hung {times}, for {session.hang_seconds:.1f} s in all"


def signal_name(details: dict[str, Any]) -> str:
    """``SIGKILL``; as the watcher named it, else by its number; empty when there was none.

    >>> signal_name({"signal": 11}), signal_name({"signal": 99, "signal_name": 7}), signal_name({})
    ('SIGSEGV', 'signal 99', '')
    """
    name, number = details.get("signal_name"), details.get("signal")
    if isinstance(name, str) and name:
        return name[:40]
    if not isinstance(number, int):
        return ""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _short(value: Any) -> str:
    if not isinstance(value, str | int):
        return ""
    first = str(value).strip().partition("\n")[0]
    return first if len(first) <= _LONGEST else first[: _LONGEST - 1] + "…"
