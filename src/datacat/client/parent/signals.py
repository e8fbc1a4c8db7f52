"""Signals: they are held for whoever asks for the next one, so that none ends us before the program."""

import contextlib
import os
import resource
import signal
from types import TracebackType
from typing import Final, NamedTuple, Self

FORWARDED: Final = frozenset(
    {signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT, signal.SIGINT}
)


class Received(NamedTuple):
    """A signal; ``from_kernel`` when it is the terminal's, and no process sent it."""

    number: int
    from_kernel: bool


def is_for_child(received: Received, *, same_group: bool) -> bool:
    """Whether the program is to be sent a signal that we got.

    A terminal sends Ctrl-C to the whole group of processes in its foreground: a program in ours has it.

    >>> is_for_child(Received(signal.SIGINT, from_kernel=True), same_group=True)
    False
    >>> is_for_child(Received(signal.SIGINT, from_kernel=False), same_group=True)
    True
    """
    return received.number in FORWARDED and not (received.from_kernel and same_group)


class Attention:
    """For as long as a ``with`` lasts, signals wait for :meth:`next`.

    One that was ignored when we began (as ``nohup`` has it) stays so, for us and for the program.
    """

    def __init__(self) -> None:
        wanted = {*FORWARDED, signal.SIGWINCH}
        self._heard = {number for number in wanted if signal.getsignal(number) != signal.SIG_IGN}
        self._heard.add(signal.SIGCHLD)
        self.mask_before: set[int] = set()

    def next(self, timeout: float) -> Received | None:
        """The next signal, None when there was none for ``timeout`` seconds."""
        found = signal.sigtimedwait(self._heard, timeout)
        # Positive codes are the kernel's own: see si_code in man 2 sigaction.
        return None if found is None else Received(found.si_signo, found.si_code > 0)

    def __enter__(self) -> Self:
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else nobody could see how the program ends
        self.mask_before = set(signal.pthread_sigmask(signal.SIG_BLOCK, self._heard))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask_before)


def end_as(status: int) -> int:
    """End this process by the signal that ended the program; else the exit code to leave with.

    Args:
        status: how the program ended, as ``os.wait4`` says it.
    """
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    # One byte is too little for a core in a file, and tells the kernel to start no helper that writes one.
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (1 if most else 0, most))
    with contextlib.suppress(OSError):  # SIGKILL cannot be handled, and need not be
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return 128 + number  # the first process of a container does not end by such signals
