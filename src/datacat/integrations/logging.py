"""The standard library's log records as events of a session."""

import logging
import threading
from typing import Any

from datacat.client.hooks import describe
from datacat.client.session import Session
from datacat.model import limits

_OUR_OWN = ("datacat", "urllib3")


_OF_EVERY_RECORD = frozenset(
    {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "logger", "exception"}
)
"""Whatever else a record has was given as ``extra``."""


class _NoLock:
    """What logging asks of a lock, without any waiting."""

    def acquire(self) -> bool:
        """Taken."""
        return True

    def release(self) -> None:
        """Free."""

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_: object) -> None:
        """Free."""


class Handler(logging.Handler):
    """Sends log records as events named after their logger.

    What datacat and its HTTP library log themselves is left out: sending it would make more of it.

    Args:
        session: where the events go.
        level: the least level that is sent.
    """

    def __init__(self, session: Session, level: int = logging.INFO) -> None:
        super().__init__(level)
        self._session = session
        self._busy = threading.local()

    def createLock(self) -> None:  # noqa: N802  # the standard library's name
        """No lock: recording takes none, and a signal handler may log in the middle of logging."""
        self.lock = _NoLock()  # type: ignore[assignment]  # it does what a lock does, but wait

    def emit(self, record: logging.LogRecord) -> None:
        """Record one log record."""
        if record.name.partition(".")[0] in _OUR_OWN or getattr(self._busy, "now", False):
            return
        self._busy.now = True
        try:
            self._session.log_event(
                (record.name or "log")[: limits.MAX_NAME_LENGTH],
                _data(record),
                level=_level(record.levelno),  # type: ignore[arg-type]  # it is one of the five
                message=record.getMessage(),
            )
        except Exception:  # noqa: BLE001  # logging's own rule: a handler never raises into the program
            self.handleError(record)
        finally:
            self._busy.now = False


def _data(record: logging.LogRecord) -> dict[str, Any]:
    data: dict[str, Any] = {
        "logger": record.name,
        "file": record.pathname,
        "line": record.lineno,
        "function": record.funcName,
        "thread": record.threadName,
    }
    data |= {key: value for key, value in record.__dict__.items() if key not in _OF_EVERY_RECORD}
    if record.exc_info and record.exc_info[1]:
        data["exception"] = describe(record.exc_info[1])
    return data


def _level(number: int) -> str:
    for least, name in ((logging.CRITICAL, "fatal"), (logging.ERROR, "error"), (logging.WARNING, "warning")):
        if number >= least:
            return name
    return "info" if number >= logging.INFO else "debug"
