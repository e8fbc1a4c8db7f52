"""What a death says of itself, seen from outside. Pure.

Several signs may be there: how the system says the process ended, what the interpreter wrote when it
fell over, whether the kernel had to kill for want of memory. The verdict is the one that says most.
"""

import os
import signal
from typing import Any, NamedTuple

from datacat.client import crashdump
from datacat.model import causes


class Signs(NamedTuple):
    """What is known of a death.

    ``wait_status`` is what ``os.waitpid`` would give, None where nobody could see it; ``dump`` what
    the interpreter wrote; ``out_of_memory`` whether the kernel killed for memory where it ran.
    """

    wait_status: int | None = None
    dump: str = ""
    out_of_memory: bool = False


class Verdict(NamedTuple):
    """An exit record's ``cause``, ``message`` and ``data``."""

    cause: str
    message: str
    data: dict[str, Any]


def verdict(signs: Signs) -> Verdict:
    """How it went.

    >>> verdict(Signs(9))
    Verdict(cause='signal', message='ended by SIGKILL', data={'signal': 9, 'signal_name': 'SIGKILL', 'core_dumped': False})
    >>> verdict(Signs(0x300)).message
    'left with exit code 3'
    """
    seen = _by_status(signs)
    if not signs.dump:
        return seen
    described = crashdump.describe(signs.dump)
    return Verdict(causes.INTERPRETER_CRASH, described["message"], {**described, **seen.data})


def signal_name(number: int) -> str:
    """Its name, or its number where it has none.

    >>> signal_name(11), signal_name(44)
    ('SIGSEGV', 'signal 44')
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _by_status(signs: Signs) -> Verdict:
    status = signs.wait_status
    if status is None:
        return Verdict(causes.UNKNOWN, "it went without a word, and nobody saw how", {})
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal_name(number)
        data = {"signal": number, "signal_name": name, "core_dumped": os.WCOREDUMP(status)}
        if number == signal.SIGKILL and signs.out_of_memory:
            return Verdict(causes.OUT_OF_MEMORY, "killed by the kernel for want of memory", data)
        if number == signal.SIGINT:
            return Verdict(causes.INTERRUPTED, "interrupted from the keyboard", data)
        return Verdict(causes.SIGNAL, f"ended by {name}", data)
    code = os.WEXITSTATUS(status)
    if code:
        return Verdict(causes.EXIT_CODE, f"left with exit code {code}", {"exit_code": code})
    return Verdict(causes.CLEAN, "left with exit code 0", {"exit_code": 0})
