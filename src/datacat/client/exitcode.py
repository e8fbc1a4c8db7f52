"""The exit code that the interpreter is about to leave with, as far as it can be known inside.

At exit nobody says it. But when a ``SystemExit`` has come all the way up, the interpreter asks it for
its ``code``, and then there is no Python left below: that is how an exit is told from one that
somebody caught. ``sys.exit`` raises one that notices; of a plain ``raise SystemExit(3)`` the code is
seen from outside alone.
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from operator import index
from typing import Any, NamedTuple, NoReturn

from datacat.client.text import text_of


class Left(NamedTuple):
    """With which exit code, and with what words to whoever started the program."""

    code: int
    words: str = ""


_left: Left | None = None


class _StandsIn(type):
    """The class of a class that is equal to ``SystemExit``: tests compare what was raised with that."""

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is SystemExit

    def __hash__(cls) -> int:
        return hash(SystemExit)


class Leaving(SystemExit, metaclass=_StandsIn):
    """What ``sys.exit`` raises; printed, compared, pickled and copied it is the ``SystemExit`` that it stands for."""

    @property
    def code(self) -> Any:
        """The exit code, or what is to be printed instead."""
        given = self.__dict__.get("given", self.args[0] if len(self.args) == 1 else self.args or None)
        try:
            sys._getframe(1)  # noqa: SLF001  # the only way to ask who is below
        except ValueError:
            _note(given)
        return given

    @code.setter
    def code(self, given: Any) -> None:
        self.__dict__["given"] = given

    def __reduce__(self) -> tuple[type[SystemExit], tuple[Any, ...]]:
        return SystemExit, self.args


Leaving.__name__ = Leaving.__qualname__ = SystemExit.__name__
Leaving.__module__ = SystemExit.__module__


def number_of(given: object) -> int:
    """The exit code that the system will see.

    >>> number_of(None), number_of(3), number_of("message"), number_of(256)
    (0, 3, 1, 0)
    """
    if given is None:
        return 0
    return given & 0xFF if isinstance(given, int) else 1


def left_by(given: object) -> Left:
    """What ``SystemExit.code`` comes to.

    >>> left_by(3), left_by("no such file")
    (Left(code=3, words=''), Left(code=1, words='no such file'))
    """
    return Left(number_of(given), "" if given is None or isinstance(given, int) else text_of(given))


def left_with() -> Left | None:
    """How the interpreter leaves; None where it is not known."""
    return _left


def listen(leaving_at_once: Callable[[int], None]) -> None:
    """Notice exit codes from now on, once a process.

    Args:
        leaving_at_once: told the code when the program calls ``os._exit``, which runs nothing else.
    """
    if sys.exit.__module__ == "sys":
        sys.exit = wraps(sys.exit)(_exit)
    leave = os._exit

    @wraps(leave)
    def _leave_at_once(status: int) -> NoReturn:
        leaving_at_once(number_of(index(status)))  # of what is no number, os._exit says so
        leave(status)

    _leave_at_once.__module__ = "os"  # it is pickled by its name there
    os._exit = _leave_at_once


def _exit(status: Any = None, /) -> NoReturn:
    if isinstance(status, SystemExit):  # then the interpreter raises that
        raise status
    raise Leaving(*(status if isinstance(status, tuple) else () if status is None else (status,)))


def _note(given: object) -> None:
    global _left  # the process leaves once
    _left = left_by(given)
