"""The program as our child process: starting it, and seeing how it ends."""

import contextlib
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, NoReturn

from datacat.client.parent.stderr import STDERR

_JOB_CONTROL: Final = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})


_IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)
"""What is ignored stays so in another program."""


class Ended(NamedTuple):
    """How it ended, as ``os.wait4`` says it."""

    status: int
    usage: resource.struct_rusage


NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126


class CannotStart(Exception):
    """There is no such program, or the system will not execute it; ``exit_code`` is what a shell leaves with then."""

    def __init__(self, command: Sequence[str], error: OSError) -> None:
        self.exit_code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        super().__init__(
            f"{command[0]!r} cannot be executed: {error.strerror}"
            if self.exit_code == NOT_EXECUTABLE
            else f"there is no program {command[0]!r}, or the interpreter that it names is not there"
        )


class Child:
    """A running program.

    Args:
        command: its file, looked for in ``PATH``, and its arguments.
        environ: its environment.
        stderr: its stderr; None for ours.
        mask: the signals that it is to have blocked.

    Raises:
        CannotStart: it does not run.
    """

    def __init__(
        self, command: list[str], environ: Mapping[str, str], stderr: int | None, mask: set[int]
    ) -> None:
        actions = [] if stderr is None else [(os.POSIX_SPAWN_DUP2, stderr, STDERR)]
        try:
            self.pid = os.posix_spawnp(
                command[0],
                command,
                environ,
                file_actions=actions,
                setsigmask=mask,
                setsigdef=_IGNORED_BY_PYTHON,
            )
        except OSError as error:
            raise CannotStart(command, error) from error

    def poll(self) -> Ended | None:
        """How it ended; None while it runs.

        Where we are the first process of a container, others become our children when their parents
        die; they are waited for as well, or they would stay.
        """
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return None
            if pid == 0:
                return None
            if pid != self.pid:
                continue
            if not os.WIFSTOPPED(status):
                return Ended(status, usage)
            if os.WSTOPSIG(status) in _JOB_CONTROL:
                self._stop_with_it(os.WSTOPSIG(status))

    def send(self, number: int) -> None:
        """Send it a signal. It has not been waited for, so its number is still its own."""
        with contextlib.suppress(PermissionError):  # it has become another user's
            os.kill(self.pid, number)

    @property
    def in_our_group(self) -> bool:
        """Whether it gets what a terminal sends to us."""
        try:
            return os.getpgid(self.pid) == os.getpgrp()
        except ProcessLookupError:
            return True

    def _stop_with_it(self, number: int) -> None:
        """Its shell has only us to see that it was stopped, and only us to continue."""
        os.kill(os.getpid(), number)
        self.send(signal.SIGCONT)


def become(command: list[str]) -> NoReturn:
    """Have the program take our place.

    Raises:
        CannotStart: it does not run.
    """
    for number in _IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606  # running what we are told is what we are for
    except OSError as error:
        raise CannotStart(command, error) from error
