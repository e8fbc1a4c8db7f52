"""Making a session: what the programmer says is checked here, once, and raises at once."""

import os
import socket
from collections.abc import Callable
from typing import Any

from datacat.client.arguments import Tags, checked_key, checked_url, label, tag_list
from datacat.client.claim import Claim, claim
from datacat.client.monitors import Monitors
from datacat.client.options import DEFAULT_URL, Options, check_options
from datacat.client.pulse import Pulse
from datacat.client.recorder import Stats
from datacat.client.session import Session
from datacat.client.transport import Transport
from datacat.model.clock import Clock, SystemClock
from datacat.model.ids import new_session_id, parse_session_id
from datacat.model.records import Start


class NoopSession(Session):
    """What ``DATACAT_DISABLED=1`` gives: every call returns at once."""

    def __init__(self, session_id: str | None = None) -> None:
        self.session_id = session_id or new_session_id()
        self.options = Options()
        self._monitors = Monitors(Pulse(shared=False), SystemClock(), self._nothing, self._nothing)
        self._slots = self._monitors.slots
        self._ended = True
        self._silent = True

    def _nothing(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    update_state = log_event = log_metric = log_counter = log_gauge = log_histogram = _nothing
    log_exception = start_heartbeat_monitor = start_asyncio_monitor = heartbeat = _nothing
    stop_heartbeat_monitor = end = _exit_by = _nothing

    @property
    def stats(self) -> Stats:
        """Nothing was recorded."""
        return Stats()

    def get_details(self) -> dict[str, Any]:
        """Nothing is known."""
        return {}


def create_session(
    url: str | None = None,
    *,
    key: str | None = None,
    product: str | None = None,
    version: str | None = None,
    environment: str | None = None,
    hostname: str | None = None,
    machine_id: str | None = None,
    tags: Tags = (),
    session_id: str | None = None,
    clock: Clock | None = None,
    transport: Callable[[], Transport] | None = None,
    **options: Any,
) -> Session:
    """Begin to record this run of the program. Nothing is asked of the server: it may be down.

    Args:
        url: the service; by default ``DATACAT_URL``, else ``http://localhost:8080``.
        key: what the service asks for, where it does; by default ``DATACAT_KEY``.
        product: the program's name.
        version: the program's version.
        environment: ``production``, ``staging`` …
        hostname: by default this machine's.
        machine_id: what tells this machine from others of its name.
        tags: a list of text, or a mapping.
        session_id: a UUID, to go on with a session; by default that of ``datacat run``, or a new one.
        clock: whose time is written; for tests.
        transport: makes what the records are sent by; for tests, see :mod:`datacat.testing`.
        **options: ``watchdog`` (False, or whether ``DATACAT_WATCHDOG=1`` is set: a small process beside
            this one sees what this one cannot say), ``process_metrics`` (None; seconds between two
            samples that the watchdog takes), ``contact_timeout`` (60 seconds: who is silent for longer is lost; None promises
            nothing, nor does a session that is not to end with its program), ``capture_exceptions`` (True), ``end_at_exit`` (True), ``exit_timeout`` (3.0
            seconds), ``in_forked_child`` (``new_session``, or ``silent``), ``journal`` (True; False
            keeps what waits in memory alone), ``max_journal_bytes`` (256 MiB for all journals of this
            user on the machine), ``max_buffer_bytes`` (32 MiB of memory, where there is no journal),
            ``drop_first`` (``("metric",)``: the kinds of record that are given up first when either is
            full; then the oldest go, never a start, exit or end).

    Raises:
        TypeError, ValueError: an argument is wrong.
    """
    if session_id is not None:
        session_id = parse_session_id(session_id, field="session_id")
    if os.environ.get("DATACAT_DISABLED", "") not in ("", "0"):
        return NoopSession(session_id)
    options.setdefault("watchdog", os.environ.get("DATACAT_WATCHDOG", "") not in ("", "0"))
    check_options(options)
    chosen = checked_url(url or os.environ.get("DATACAT_URL") or DEFAULT_URL)
    if transport is not None:
        options.setdefault("journal", False)
    behaviour = Options(url=chosen, key=checked_key(key or os.environ.get("DATACAT_KEY")), **options)
    clock = clock or SystemClock()
    start = Start(
        time=clock.now(),
        product=label(product, "product"),
        version=label(version, "version"),
        environment=label(environment, "environment"),
        hostname=label(hostname or socket.gethostname(), "hostname"),
        machine_id=label(machine_id, "machine_id"),
        pid=os.getpid(),
        tags=tag_list(tags),
        contact_timeout=behaviour.contact_timeout if behaviour.end_at_exit else None,
    )
    goes_on = session_id is not None
    run = claim(os.environ) if session_id is None and transport is None else Claim(session_id)
    session_id, start.parent_session_id = run
    return Session(
        start, behaviour, session_id=session_id, clock=clock, make_transport=transport, goes_on=goes_on
    )
