"""Starting the watchdog, from inside the program.

What must hold: the program is not held up (a thread of its own does it), meets no child of ours
where it waits for its own (the watchdog's parent is gone at once), and shares nothing with the watchdog but two pieces
of memory and a pipe that tells of its end. See :mod:`datacat.client.watchdog` for the other side.
"""

import contextlib
import faulthandler
import marshal
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from datacat.client import procfs, threads
from datacat.client.pulse import Pulse, shared_file

if TYPE_CHECKING:
    import subprocess

# The package's own __init__ would bring the whole client along.
_BOOT: Final = """
import sys, types
package = types.ModuleType("datacat")
package.__path__ = [sys.argv[1]]
sys.modules["datacat"] = package
from datacat.client.watchdog import main
main()
"""


_stacks: tuple[int, int] | None = None
"""Where this process's stacks are printed, and the signal that asks for them.

One for all its watchdogs, and for as long as it lives: a signal that nobody handles any more, and that is
still on its way, would kill the program.
"""

_making_stacks = threading.Lock()


class Watchdog:
    """The program's end of its watchdog.

    Args:
        pulse: what the watchdog reads.
        settings: what else it is told; see :class:`datacat.client.watchdog.Settings`.
        complain: told once, in a sentence, when there can be none.
    """

    def __init__(self, pulse: Pulse, settings: dict[str, Any], complain: Callable[[str], None]) -> None:
        self._pulse = pulse
        self._settings = settings
        self._complain = complain
        self._held: int | None = None
        self._released = False
        self._whole = threading.RLock()  # a signal handler may fork in the middle of a fork
        self._thread = threading.Thread(target=self._start, name="datacat-watchdog-start", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        try:
            threads.start(self._thread)
        except RuntimeError as error:
            self._complain(f"there is no watchdog: {error}")

    def wait(self, timeout: float) -> bool:
        """Wait until it watches, or it is known that there can be none; whether that came in time."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def hold(self) -> None:
        """Before a fork: a child must get no half of a watchdog.

        Where an import was under way, it could never again import that module.
        """
        self._whole.acquire()

    def let_go(self) -> None:
        """After the fork, in the parent."""
        self._whole.release()

    def abandon(self) -> None:
        """After the fork, in the child: the watchdog is the parent's."""
        self._close()

    def release(self) -> None:
        """The session is over, and delivered: nothing is left to be watched. Raises nothing."""
        with self._whole:
            self._released = True
            self._close()

    def _close(self) -> None:
        with contextlib.suppress(OSError):
            self._pulse.close()
            if self._held is not None:
                os.close(self._held)  # at the other end of it, the watchdog sees that there is no more to see
        self._held = None

    def _start(self) -> None:
        try:
            self._launch()
        except Exception as error:  # noqa: BLE001  # whatever it is, the program goes on without
            self._complain(f"there is no watchdog: {error}")

    def _launch(self) -> None:
        if getattr(sys, "frozen", False) or not sys.executable:
            raise OSError("this program is no Python that another could be started by")
        if self._pulse.file is None or not hasattr(os, "pidfd_open"):
            raise OSError("this system cannot watch one process from another")
        with self._whole:
            if self._released:
                return
            from datacat.client import children  # what it loads is not wanted where there is no watchdog

            child = self._hand_over(self._pulse.file, children.start)
        children.wait(child)

    def _hand_over(
        self, pulse: int, start: "Callable[..., subprocess.Popen[bytes]]"
    ) -> "subprocess.Popen[bytes]":
        stacks, number = _ask_by()
        with contextlib.ExitStack() as handed_over:
            ended, self._held = os.pipe2(os.O_CLOEXEC)
            handed_over.callback(os.close, ended)
            settings = {
                **self._settings,
                "pid": os.getpid(),
                "process_start": procfs.start_time(os.getpid()),
                "program": procfs.memory(os.getpid()),
                "main_thread": threading.main_thread().ident or 0,
                "pulse": pulse,
                "stacks": stacks,
                "stacks_signal": number,
                "ended": ended,
                "path": [each for each in sys.path if each],
            }
            told = shared_file("datacat-settings")
            handed_over.callback(os.close, told)
            os.write(told, marshal.dumps(settings))
            os.lseek(told, 0, os.SEEK_SET)
            package = str(Path(__file__).parents[1])
            return start(
                [sys.executable, "-I", "-S", "-c", _BOOT, package],
                stdin=told,
                pass_fds=(pulse, stacks, ended),
            )


def _ask_by() -> tuple[int, int]:
    """The file and the signal, see :data:`_stacks`; made where there are none yet."""
    global _stacks  # the interpreter has one such handler a signal
    import fcntl

    with _making_stacks:
        if _stacks is None:
            file = shared_file("datacat-stacks")
            fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)  # so that the watchdog may empty it
            number = _free_signal()
            if number:
                faulthandler.register(number, file=file, all_threads=True)
            _stacks = file, number
        return _stacks


def _forget_stacks() -> None:
    """In a forked child: they are the parent's."""
    global _stacks, _making_stacks  # as above
    _making_stacks = threading.Lock()
    if _stacks is not None:
        file, number = _stacks
        _stacks = None
        if number:
            faulthandler.unregister(number)
        os.close(file)


def _free_signal() -> int:
    """A real-time signal that nobody handles; 0 where there is none."""
    if not hasattr(signal, "SIGRTMAX"):
        return 0
    for number in range(signal.SIGRTMAX - 1, signal.SIGRTMIN + 2, -1):
        if signal.getsignal(number) == signal.SIG_DFL:
            return number
    return 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_stacks)
