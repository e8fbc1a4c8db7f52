"""A child of ours, which the program's waiting for any child does not meet.

A server that waits for whichever of its workers ends next looks it up by its number, and ours is not among
them. Whoever waits for a child by its number is not concerned. It is so as long as the child is there: what the
program calls afterwards is the system's own.
"""

import os
import threading
from collections.abc import Callable
from functools import wraps
from subprocess import DEVNULL, Popen
from typing import Any, Final

_ours: set[int] = set()
_ended: set[int] = set()
"""Of those, what has ended, while somebody waits who may have met it and has not looked yet."""

_waiting: set[object] = set()
"""The program's calls that wait for any child now."""

_turn = threading.RLock()
"""Held while one is started: it may end before its number is known."""

_ANY: Final = -1
# What is asked wrongly is for the system to refuse.
_MEETS_ANY: Final[dict[str, Callable[..., bool]]] = {
    "wait": lambda *_, **__: True,
    "wait3": lambda *_, **__: True,
    "wait4": lambda pid=None, *_, **__: pid == _ANY,
    "waitpid": lambda pid=None, *_, **__: pid == _ANY,
    "waitid": lambda kind=None, *_, **__: kind == os.P_ALL,
}

_standing_in: dict[str, Callable[..., Any]] = {}
"""What stands in for the functions of ``os``."""


def start(command: list[str], *, stdin: int, pass_fds: tuple[int, ...]) -> "Popen[bytes]":
    """Start one in a family of its own; :func:`wait` is to be called afterwards.

    Args:
        command: what it runs.
        stdin: the file that it reads.
        pass_fds: the other files of ours that it has.

    Raises:
        OSError: it cannot be started.
    """
    if Popen.__module__ != "subprocess":
        # Its own forks as the program does: a child that lets go of what is its parent's has nothing left to hand over.
        raise OSError(f"{Popen.__module__}.Popen, which stands in for that of Python, hands over no files")
    with _turn:
        _stand_in()
        try:
            child = Popen(  # noqa: S603  # our own command
                command,
                stdin=stdin,
                stdout=DEVNULL,
                stderr=DEVNULL,
                pass_fds=pass_fds,
                start_new_session=True,
            )
            _ours.add(child.pid)
        finally:
            _step_back()
    return child


def wait(child: "Popen[bytes]") -> None:
    """Wait for its end; from then on its number may be that of a child of the program."""
    child.wait()
    with _turn:
        _ended.add(child.pid)
        _step_back()


def _stand_in() -> None:
    if not _standing_in:
        for name, meets_any in _MEETS_ANY.items():
            _standing_in[name] = _passing_over(getattr(os, name), meets_any)
            setattr(os, name, _standing_in[name])


def _step_back() -> None:
    if not _waiting:
        _ours.difference_update(_ended)
        _ended.clear()
    while _standing_in and not _ours:
        name, ours = _standing_in.popitem()
        if getattr(os, name) is ours:  # nobody stands in for us
            setattr(os, name, ours.__wrapped__)


def _passing_over(wait: Callable[..., Any], meets_any: Callable[..., bool]) -> Callable[..., Any]:
    @wraps(wait)
    def waiting(*wanted: Any, **by_name: Any) -> Any:
        if not meets_any(*wanted, **by_name):
            return wait(*wanted, **by_name)
        this = object()
        _waiting.add(this)
        try:
            while _is_ours(ended := wait(*wanted, **by_name)):
                pass
            return ended
        finally:
            _waiting.discard(this)
            with _turn:
                _step_back()

    return waiting


def _is_ours(ended: Any) -> bool:
    with _turn:
        return ended is not None and (ended[0] if type(ended) is tuple else ended.si_pid) in _ours


def _forget() -> None:
    """In a forked child: they are the parent's."""
    global _turn  # as they are
    _turn = threading.RLock()
    _ours.clear()
    _ended.clear()
    _waiting.clear()
    _step_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
