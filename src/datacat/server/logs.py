"""What the service says while it runs, to people or to programs: structlog, for what others log too."""

import logging
import sys
from typing import Any, Final, TextIO

import structlog

from datacat.server.choices import LogFormat

_SHARED: Final[list[Any]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configure(level: str, log_format: LogFormat, stream: TextIO | None = sys.stderr) -> None:
    """From here on whatever is logged in this process goes to ``stream``.

    Args:
        level: what is less is not said.
        log_format: a line for people, in colours on a terminal; or a JSON object a line.
        stream: where it is said; None where whoever started the process closed that.
    """
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    render: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        # Without the variables of each frame: among them are keys, and what programs recorded.
        plain = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        render += [structlog.processors.ExceptionRenderer(plain), structlog.processors.JSONRenderer()]
    else:
        render.append(
            structlog.dev.ConsoleRenderer(
                colors=stream is not None and stream.isatty(),
                exception_formatter=structlog.dev.plain_traceback,
            )
        )
    handler = logging.NullHandler() if stream is None else logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=render))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
