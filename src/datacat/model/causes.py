"""How a program can go: the words of an exit record's ``cause``.

What must hold: several watchers may see one death, each of them a part of it. What says more about
it takes the place of what says less, whatever came first; and a word that this version does not
know is kept, and is a crash.
"""

from typing import Final

CLEAN: Final = "clean"
"""It reached its normal end."""

INTERRUPTED: Final = "interrupted"
"""Whoever sat before it stopped it, by SIGINT."""

REPLACED: Final = "replaced"
"""It became another program, by exec."""

EXCEPTION: Final = "exception"
"""An exception that nobody caught."""

EXIT_CODE: Final = "exit_code"
"""It left by itself, and its exit code was not zero."""

SIGNAL: Final = "signal"
"""A signal ended it."""

OUT_OF_MEMORY: Final = "oom"
"""The kernel ended it for want of memory."""

KILLED_WHILE_HUNG: Final = "killed_while_hung"
"""It hung, and was ended by a signal, or nobody saw by what."""

INTERPRETER_CRASH: Final = "interpreter_crash"
"""The interpreter itself fell over; the stacks are what it printed last."""

UNKNOWN: Final = "unknown"
"""It went without a word, and nobody saw how."""

GOODBYES: Final = frozenset({CLEAN, INTERRUPTED, REPLACED})
"""What is no crash."""

_WEIGHT: Final = {
    CLEAN: 0,
    UNKNOWN: 1,
    EXIT_CODE: 2,
    SIGNAL: 2,
    INTERRUPTED: 2,
    REPLACED: 2,
    KILLED_WHILE_HUNG: 3,
    OUT_OF_MEMORY: 4,
    INTERPRETER_CRASH: 4,
    EXCEPTION: 5,
}


def says_more(cause: str, than: str) -> bool:
    """Whether ``cause`` is to take the place of another.

    >>> says_more("signal", than="unknown"), says_more("unknown", than="signal")
    (True, False)
    """
    return _WEIGHT.get(cause, 2) > _WEIGHT.get(than, 2)
