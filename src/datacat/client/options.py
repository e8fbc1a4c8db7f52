"""How a session behaves: what may be chosen, and what is chosen for those who do not."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Final, Literal

from msgspec import Struct

from datacat.client.arguments import check_bytes, check_positive, check_seconds
from datacat.client.backlog import KEPT, KINDS
from datacat.client.budget import DEFAULT_BYTES as DEFAULT_JOURNAL_BYTES
from datacat.client.budget import SMALLEST_BYTES as SMALLEST_JOURNAL_BYTES
from datacat.client.memory import DROP_FIRST

DEFAULT_URL: Final = "http://localhost:8080"
DEFAULT_BUFFER_BYTES: Final = 32 * 1024 * 1024
EXIT_TIMEOUT: Final = 3.0
CONTACT_TIMEOUT: Final = 60.0


class Options(Struct, frozen=True, kw_only=True):
    """How a session behaves; see :func:`datacat.create_session`."""

    url: str = DEFAULT_URL
    key: str | None = None
    capture_exceptions: bool = True
    end_at_exit: bool = True
    exit_timeout: float = EXIT_TIMEOUT
    contact_timeout: float | None = CONTACT_TIMEOUT
    journal: bool = True
    max_journal_bytes: int = DEFAULT_JOURNAL_BYTES
    max_buffer_bytes: int = DEFAULT_BUFFER_BYTES
    drop_first: tuple[str, ...] = DROP_FIRST
    watchdog: bool = False
    process_metrics: float | None = None
    in_forked_child: Literal["new_session", "silent"] = "new_session"


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse what cannot be chosen, with the cure.

    Raises:
        TypeError: there is no such option, or it is a number and was given none.
        ValueError: an option has no such value.
    """
    known = set(Options.__struct_fields__) - {"url", "key"}
    if unknown := set(options) - known:
        raise TypeError(
            f"create_session has no option {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}"
        )
    check_seconds(options.get("exit_timeout", EXIT_TIMEOUT), "exit_timeout")
    timeout = options.get("contact_timeout")
    if timeout is not None:
        check_positive(timeout, "contact_timeout")
    interval = options.get("process_metrics")
    if interval is not None:
        check_positive(interval, "process_metrics")
        if not options.get("watchdog"):
            raise ValueError("process_metrics are sampled by the watchdog: say watchdog=True as well")
        if find_spec("psutil") is None:
            raise ValueError("process_metrics need psutil: pip install psutil")
    for kind in options.get("drop_first", ()):
        if kind not in KINDS[1:] or kind in KEPT:
            can = ", ".join(kind for kind in KINDS[1:] if kind not in KEPT)
            raise ValueError(f"drop_first names kinds of record that may be given up ({can}), found {kind!r}")
    most = options.get("max_journal_bytes", DEFAULT_JOURNAL_BYTES)
    check_bytes(most, "max_journal_bytes", SMALLEST_JOURNAL_BYTES, ": journal=False needs no disk")
    check_bytes(options.get("max_buffer_bytes", DEFAULT_BUFFER_BYTES), "max_buffer_bytes", 0)
