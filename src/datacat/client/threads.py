"""How a thread of ours begins: with no signal that is the program's to take.

A program that blocks a signal, and waits for it (``sigwait``), blocks it in the threads that it knows of: any other
would be given it, and the program would end by it.
"""

import signal
import threading
from typing import Final

_FAULTS: Final = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS")
"""What a thread brings upon itself."""


def start(thread: threading.Thread) -> None:
    """Start a thread of ours.

    The real-time signals it takes: one of them asks for the stacks, and may find all others busy.

    Raises:
        RuntimeError: there can be none.
    """
    if not hasattr(signal, "pthread_sigmask"):
        thread.start()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        # A handler that this runs may raise: what is blocked then is not to stay so.
        signal.pthread_sigmask(signal.SIG_BLOCK, _not_ours())
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _not_ours() -> set[int]:
    real_time = getattr(signal, "SIGRTMIN", signal.NSIG)
    faults = {getattr(signal, name, None) for name in _FAULTS}
    return {number for number in signal.valid_signals() if number < real_time and number not in faults}
