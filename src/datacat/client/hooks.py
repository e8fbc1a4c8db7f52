"""Exceptions that nobody caught, and programs that end: seen here, told to every open session.

The hooks that stood before are called after the session was told, with the same arguments; a
session that has ended is told nothing more.
"""

import atexit
import contextlib
import os
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Protocol

from datacat.client import exitcode
from datacat.client.exitcode import Left
from datacat.client.text import text_of


class Listener(Protocol):
    """What a session does when told."""

    def on_uncaught(self, error: BaseException, thread: str, *, fatal: bool) -> None:
        """An exception reached the top of a thread; KeyboardInterrupt only that of the main thread."""
        ...

    def on_exit(self, left: Left | None) -> None:
        """The interpreter is about to end; how, where it is known."""
        ...

    def on_leaving_at_once(self, code: int) -> None:
        """The process is about to end without more ado, by ``os._exit``."""
        ...

    def on_fork(self) -> None:
        """This process is about to be forked."""
        ...

    def on_forked(self) -> None:
        """It was, and this is the parent."""
        ...

    def on_forked_child(self) -> None:
        """This process is a fork of the one that made the session."""
        ...


_listeners: "weakref.WeakSet[Listener]" = weakref.WeakSet()
_installed = False
_CODE_FOLLOWS: Final = sys.version_info >= (3, 13)
"""Where a child of multiprocessing has run its exit handlers when it says with which code it leaves (gh-83856)."""

_OF_MULTIPROCESSING: Final = ("multiprocessing/popen_fork.py", "multiprocessing/forkserver.py")

_fork_turn = threading.RLock()
"""One fork at a time: who is held by one must be let go of by the same."""

_forking: "list[list[Listener]]" = []
_handled_at_fork: BaseException | None = None
_told: BaseException | None = None
"""The exception that our hook has seen end the program."""

_CALLED_OFF: Final = frozenset({"GeneratorExit", "CancelledError", "Cancelled", "GreenletExit"})

_MOST_EXCEPTIONS: Final = 10
"""Of a group."""

_MOST_FRAMES: Final = 300
"""Of a traceback; a recursion has a hundred thousand, and to look up their lines takes half a minute."""


def listen(listener: Listener) -> None:
    """Tell ``listener`` from now on; it is held weakly."""
    global _installed  # the hooks are the process's, so they go in once a process
    _listeners.add(listener)
    if _installed:
        return
    _installed = True
    _load_what_ends_threads()
    sys.excepthook = _excepthook(sys.excepthook)
    threading.excepthook = _threading_excepthook(threading.excepthook)
    atexit.register(_at_exit)
    exitcode.listen(_at_os_exit)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _listen_in_child()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _load_what_ends_threads() -> None:
    """Have the library at hand by which glibc ends the threads that the interpreter's end finds at work, as ours may be.

    Where it cannot be loaded any more, for want of memory or of files, glibc aborts the program.
    """
    if sys.platform == "linux" and sys.version_info < (3, 14):  # from then on they are left to stand still
        with contextlib.suppress(ImportError, OSError):
            from ctypes import CDLL

            CDLL("libgcc_s.so.1")


def forget(listener: Listener) -> None:
    """Tell it nothing any more."""
    _listeners.discard(listener)


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as data: ``type``, ``message``, ``module``, ``traceback`` (text). Raises nothing.

    Of a group also ``exceptions``, a line for each of the first that are no groups themselves.
    """
    kind = type(error)
    return {
        "type": kind.__qualname__,
        "module": kind.__module__,
        "message": text_of(error)[:10_000],
        "traceback": text_of(error, _traceback)[-50_000:],
        **({"exceptions": _lines_of(error)} if isinstance(error, BaseExceptionGroup) else {}),
    }


def is_called_off(error: BaseException) -> bool:
    """Whether it is no failure, but how a coroutine is told to stop: by asyncio, trio or gevent."""
    return not isinstance(error, Exception) and any(
        each.__name__ in _CALLED_OFF for each in type(error).__mro__
    )


def _lines_of(group: BaseExceptionGroup[BaseException]) -> list[str]:
    lines: list[str] = []
    left: list[BaseException] = [group]
    while left and len(lines) < _MOST_EXCEPTIONS:
        error = left.pop()
        if isinstance(error, BaseExceptionGroup):
            left += reversed(error.exceptions)
        else:
            message = text_of(error)[:200]
            lines.append(f"{type(error).__qualname__}: {message}" if message else type(error).__qualname__)
    return lines


def _traceback(error: BaseException) -> str:
    innermost = error.__traceback__
    ahead = innermost
    for _ in range(_MOST_FRAMES):
        ahead = ahead and ahead.tb_next
    while ahead is not None and innermost is not None:
        ahead, innermost = ahead.tb_next, innermost.tb_next
    return "".join(traceback.format_exception(type(error), error, innermost, limit=-_MOST_FRAMES))


def _tell(act: Callable[[Listener], None]) -> None:
    for listener in _all_listeners():
        # Nothing of ours may add to the program's trouble.
        with contextlib.suppress(Exception):
            act(listener)


def _excepthook(before: Callable[..., Any]) -> Callable[..., Any]:
    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        global _told  # the program ends once
        fatal = _ends_program(error) or (_nobody_is_below(2) and not hasattr(sys, "ps1"))
        if fatal:
            _told = error
        if not issubclass(kind, SystemExit):
            _tell(lambda listener: listener.on_uncaught(error, "MainThread", fatal=fatal))
        before(kind, error, trace)

    return hook


def _threading_excepthook(before: Callable[..., Any]) -> Callable[..., Any]:
    def hook(args: threading.ExceptHookArgs) -> None:
        error = args.exc_value
        if error is not None and not isinstance(error, SystemExit):
            name = args.thread.name if args.thread else "unknown"
            _tell(lambda listener: listener.on_uncaught(error, name, fatal=False))
        elif (
            error is not None
        ):  # the hook of the interpreter knows the class itself alone, and is then silent
            args = threading.ExceptHookArgs((SystemExit, error, args.exc_traceback, args.thread))
        before(args)

    return hook


def _at_exit() -> None:
    """The end of the interpreter; or, in a child of multiprocessing, of what it was to do, which may have raised."""
    if _is_of_multiprocessing(2):
        return
    error = sys.exception()
    if error is None or error is _handled_at_fork:
        left = exitcode.left_with()
        if left is None and (error := _ended_by()) is not None:
            _tell_uncaught(error)
        _tell(lambda listener: listener.on_exit(left))
    elif isinstance(error, SystemExit):
        left = exitcode.left_by(error.code)
        _tell(lambda listener: listener.on_exit(left))
    else:
        _tell_uncaught(error)
        _tell(lambda listener: listener.on_exit(Left(1)))


def _ended_by() -> BaseException | None:
    """The exception that ended the program past our hook: rich, typer and others put theirs in its place."""
    error: BaseException | None = getattr(sys, "last_value", None)
    return error if error is not None and error is not _told and _ends_program(error) else None


def _nobody_is_below(depth: int) -> bool:
    try:
        sys._getframe(depth)  # noqa: SLF001  # the only way to ask
    except ValueError:
        return True
    return False


def _ends_program(error: BaseException) -> bool:
    """Whether the interpreter noted it down when it had come all the way up.

    Finalizers, Qt and others call the hook for what ends nothing; shells and test runners note down what they caught.
    """
    trace = error.__traceback__
    uncaught = (
        error is getattr(sys, "last_value", None) and trace is not None and trace.tb_frame.f_back is None
    )
    return uncaught and not hasattr(sys, "ps1")


def _at_os_exit(code: int) -> None:
    if _is_of_multiprocessing(3):
        _tell(lambda listener: listener.on_exit(Left(code)))
    else:
        _tell(lambda listener: listener.on_leaving_at_once(code))


def _before_fork() -> None:
    _fork_turn.acquire()
    held: list[Listener] = []
    _forking.append(held)
    for listener in _all_listeners():
        held.append(listener)
        _hold(listener)


def _hold(listener: Listener) -> None:
    with contextlib.suppress(Exception):
        listener.on_fork()


def _after_fork() -> None:
    for listener in _forking.pop():
        with contextlib.suppress(Exception):
            listener.on_forked()
    _fork_turn.release()


def _in_child() -> None:
    global _fork_turn, _handled_at_fork  # the parent's
    _fork_turn = threading.RLock()
    del _forking[-1:]
    # A child of multiprocessing runs on its parent's stack, and that may be handling something.
    _handled_at_fork = sys.exception()
    _tell(lambda listener: listener.on_forked_child())
    # A signal handler may have forked in the middle of a fork, which goes on here as well.
    for held in _forking:
        _fork_turn.acquire()
        for listener in held:
            _hold(listener)
    # A child of multiprocessing forgets the finalizers that it inherited, and then calls what is registered here.
    if (util := sys.modules.get("multiprocessing.util")) is not None:
        util.register_after_fork(_listen_in_child, lambda listen: listen())


def _all_listeners() -> "list[Listener]":
    while True:
        try:
            return list(_listeners)
        except RuntimeError:  # another thread makes a session meanwhile
            continue


def _listen_in_child() -> None:
    """A child of multiprocessing says what it raised to nobody; before Python 3.13 it runs finalizers meanwhile."""
    if not _CODE_FOLLOWS:
        sys.modules["multiprocessing.util"].Finalize(None, _at_exit, exitpriority=10)
        return
    process: Any = sys.modules["multiprocessing.process"].current_process()
    run = process.run

    def noting() -> None:
        try:
            run()
        except Exception as error:
            _tell_uncaught(error)
            raise

    process.run = noting


def _is_of_multiprocessing(depth: int) -> bool:
    """Whether the caller of this depth ends a child, and says with which code by ``os._exit``."""
    try:
        caller = sys._getframe(depth).f_code.co_filename  # noqa: SLF001  # the only way to ask who leaves
    except ValueError:
        return False
    return _CODE_FOLLOWS and caller.endswith(_OF_MULTIPROCESSING)


def _tell_uncaught(error: BaseException) -> None:
    name = threading.current_thread().name
    _tell(lambda listener: listener.on_uncaught(error, name, fatal=True))
