"""Verdicts in a few words, for people."""

import signal
from typing import Any, Final

from datacat.model import causes
from datacat.model.fingerprint import crash_frames
from datacat.model.hangs import place_of

_LONGEST: Final = 300

_WORDS: Final = {
    causes.OUT_OF_MEMORY: "killed by the kernel, out of memory",
    causes.UNKNOWN: "gone without a word",
}


def crash_title(cause: str, details: dict[str, Any], place: str = "") -> str:
    r"""How a program crashed.

    Args:
        cause: a word of :mod:`datacat.model.causes`.
        details: what the exit records said.
        place: where it hung, when it was hung.

    >>> crash_title("signal", {"signal": 9})
    'killed by SIGKILL'
    >>> crash_title("killed_while_hung", {}, "Queue.get (worker.py:31): item = q.get()")
    'killed while hung in Queue.get (worker.py:31): item = q.get()'
    >>> text = 'Traceback (most recent call last):\n  File "/a/b.py", line 3, in f\nValueError: 7'
    >>> crash_title("exception", {"type": "ValueError", "message": "7", "traceback": text})
    'ValueError: 7, in f (b.py:3)'
    """
    by = signal_name(details)
    match cause:
        case causes.SIGNAL:
            words = f"killed by {by or 'a signal'}"
        case causes.EXIT_CODE:
            words = f"exit code {_short(details.get('exit_code', 'not zero'))}"
        case causes.EXCEPTION:
            message = _short(details.get("message"))
            words = _short(details.get("type")) or "exception"
            words += f": {message}" if message else ""
        case causes.KILLED_WHILE_HUNG:
            words = (
                (f"killed by {by}" if by else "killed") + " while hung" + (f" in {place}" if place else "")
            )
        case causes.INTERPRETER_CRASH:
            words = "the interpreter crashed" + (f" by {by}" if by else "")
        case _:
            words = _WORDS.get(cause, cause)
    where = place_of(crash_frames(details)) if cause in (causes.EXCEPTION, causes.INTERPRETER_CRASH) else ""
    return f"{words}, in {where}" if where else words


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
