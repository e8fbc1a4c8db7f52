"""One session, recorded by two: ``datacat run`` makes it, and the program that it runs goes on with it.

The environment says the session's id and the path of a file. Every process below inherits it, so the
file decides: whoever removes it has the session, and all others are sessions of their own below it.
"""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from datacat.model.errors import InvalidInput
from datacat.model.ids import parse_session_id

VARIABLE: Final = "DATACAT_RUN"


class Claim(NamedTuple):
    """What a new session is to be: ``session_id`` where there was one to be had, or below ``parent_session_id``."""

    session_id: str | None = None
    parent_session_id: str | None = None


class Offer:
    """A session that one process may have, until the end of a ``with``.

    Args:
        session_id: which.
    """

    def __init__(self, session_id: str) -> None:
        try:
            file, path = tempfile.mkstemp(prefix="datacat-run-")
            os.close(file)
        except OSError:  # no room: then it is nobody's, and whoever asks is below it
            path = f"{os.devnull}/none"
        self._path = Path(path)
        self.variable = f"{session_id}:{path}"

    @property
    def taken(self) -> bool:
        """Whether somebody has it."""
        return not self._path.exists()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()


def offered_by(environ: Mapping[str, str]) -> str | None:
    """The id of the session that ``datacat run`` made for this process or one above it."""
    try:
        return parse_session_id(environ.get(VARIABLE, "").partition(":")[0])
    except InvalidInput:
        return None


def claim(environ: Mapping[str, str]) -> Claim:
    """Have the session that is offered, if it is still to be had."""
    session_id = offered_by(environ)
    if session_id is None:
        return Claim()
    try:
        Path(environ[VARIABLE].partition(":")[2]).unlink()
    except OSError:
        return Claim(parent_session_id=session_id)
    return Claim(session_id)
