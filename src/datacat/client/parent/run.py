"""Runs a program to its end, and records that."""

import contextlib
import os
import resource
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Final

from msgspec import Raw, Struct

from datacat.client.claim import VARIABLE, Offer, offered_by
from datacat.client.encode import encode_data
from datacat.client.journal_root import journal_root
from datacat.client.leftovers import deliver_one
from datacat.client.oom import MemoryKills
from datacat.client.options import Options
from datacat.client.parent.child import CannotStart, Child, Ended
from datacat.client.parent.report import exit_record, max_rss_bytes
from datacat.client.parent.signals import FORWARDED, Attention, is_for_child
from datacat.client.parent.stderr import Stderr, is_open
from datacat.client.recorder import Recorder
from datacat.client.transport import transports
from datacat.model import causes
from datacat.model.clock import Clock
from datacat.model.ids import new_session_id
from datacat.model.limits import MAX_NAME_LENGTH
from datacat.model.records import Exit, Origin, Start

_FIRST_LOOK: Final = 0.1
_LOOK_EVERY: Final = 10.0
"""Seconds between two looks at the program; at first they are shorter, as that is when it is moved about."""

_NAMED_AFTER: Final = 3.0
"""Seconds that a program has to say its own name before it is known by that of its file."""

_PASSING_ON: Final = 2.0
"""Seconds that the reader of our stderr has for the last of the program's."""

_OTHERS_DELIVER: Final = 0.5
"""Seconds for whoever has the program's journal already, and may be about to deliver it."""


class Program(Struct, frozen=True, kw_only=True):
    """What is to be run, and what is known of it; see the options of ``datacat run``."""

    command: list[str]
    options: Options
    product: str | None = None
    version: str | None = None
    environment: str | None = None
    tags: list[str] = []
    keep_stderr: bool = True


def run(program: Program, clock: Clock) -> int:
    """Run it; how it ended, as ``os.wait4`` says it.

    Raises:
        CannotStart: it does not run; that is recorded, too.
    """
    session_id = new_session_id()
    with Attention() as attention, Offer(session_id) as offer:
        environ = {**os.environ, "DATACAT_URL": program.options.url, VARIABLE: offer.variable}
        stderr = Stderr() if program.keep_stderr and is_open() else None
        child_end = stderr.child_end if stderr else None
        memory_kills = MemoryKills()
        memory_kills.look(os.getpid())
        try:
            child = Child(program.command, environ, child_end, attention.mask_before)
        except CannotStart as error:
            _record_that(error, program, session_id, clock)
            raise
        if stderr:
            stderr.start()
        return _Watch(program, session_id, child, stderr, memory_kills, offer, attention, clock).to_the_end()


def _record_that(error: CannotStart, program: Program, session_id: str, clock: Clock) -> None:
    """For a job of the night a path that is wrong is the failure that matters most."""
    start = _start(program, clock, None)
    start.product = _name_of(program)
    recorder = Recorder(session_id, start, program.options, clock, origin=Origin.PARENT)
    data = Raw(encode_data({"exit_code": error.exit_code, "said": str(error)}))
    recorder.record("exit", Exit(time=clock.now(), cause=causes.EXIT_CODE, message=str(error), data=data))
    recorder.finish()


def _start(program: Program, clock: Clock, pid: int | None) -> Start:
    return Start(
        time=clock.now(),
        product=program.product,
        version=program.version,
        environment=program.environment,
        hostname=socket.gethostname()[:MAX_NAME_LENGTH],
        pid=pid,
        tags=program.tags,
        parent_session_id=offered_by(os.environ),
        contact_timeout=program.options.contact_timeout,
    )


def _name_of(program: Program) -> str:
    """That of its file, where nobody has said another."""
    return program.product or Path(program.command[0]).name[:MAX_NAME_LENGTH]


class _Watch:
    """One program, from its start to the delivery of how it ended."""

    def __init__(
        self,
        program: Program,
        session_id: str,
        child: Child,
        stderr: Stderr | None,
        memory_kills: MemoryKills,
        offer: Offer,
        attention: Attention,
        clock: Clock,
    ) -> None:
        self._program = program
        self._session_id = session_id
        self._child = child
        self._stderr = stderr
        self._offer = offer
        self._attention = attention
        self._clock = clock
        self._began = clock.monotonic()
        self._least_rss_bytes = max_rss_bytes(resource.getrusage(resource.RUSAGE_SELF))
        self._memory_kills = memory_kills
        self._named = program.product is not None
        timeout = program.options.contact_timeout
        self._recorder = Recorder(
            session_id,
            _start(program, clock, child.pid),
            program.options,
            clock,
            origin=Origin.PARENT,
            contact_every=timeout and timeout / 4,
        )

    def to_the_end(self) -> int:
        """Record the program's life; its wait status."""
        self._recorder.open()
        ended = self._attend()
        wall_seconds = self._clock.monotonic() - self._began
        if self._stderr:
            self._stderr.finish(_PASSING_ON)
        if not self._offer.taken:
            self._name()
        self._recorder.record(
            "exit",
            exit_record(
                self._clock.now(),
                ended.status,
                ended.usage,
                wall_seconds=wall_seconds,
                least_rss_bytes=self._least_rss_bytes,
                out_of_memory=self._memory_kills.happened,
                stderr=self._stderr.tail.text if self._stderr else None,
            ),
        )
        self._deliver()
        return ended.status

    def _attend(self) -> Ended:
        look_again = _FIRST_LOOK
        self._memory_kills.look(self._child.pid)
        while (ended := self._child.poll()) is None:
            received = self._attention.next(look_again)
            if received is None:
                self._memory_kills.look(self._child.pid)
                if self._clock.monotonic() - self._began > _NAMED_AFTER and not self._offer.taken:
                    self._name()
                look_again = min(2 * look_again, _LOOK_EVERY)
            elif received.number == signal.SIGWINCH and self._stderr and self._stderr.is_terminal:
                self._stderr.resize()
                self._child.send(signal.SIGWINCH)
            elif is_for_child(received, same_group=self._child.in_our_group):
                self._child.send(received.number)
        return ended

    def _name(self) -> None:
        """Nobody has said what this is, or it is said already and this changes nothing."""
        if not self._named:
            self._named = True
            self._recorder.record("start", Start(time=self._clock.now(), product=_name_of(self._program)))

    def _deliver(self) -> None:
        """Wait for the server, but no longer than is allowed, and not when somebody wants us to go."""
        while self._attention.next(0):  # what came before the program's end was meant for it
            pass
        thread = threading.Thread(target=self._deliver_all, name="datacat-delivery", daemon=True)
        thread.start()
        deadline = time.monotonic() + self._program.options.exit_timeout
        while thread.is_alive() and time.monotonic() < deadline:
            received = self._attention.next(0.02)
            if received and received.number in FORWARDED:
                return

    def _deliver_all(self) -> None:
        self._recorder.finish()
        if not self._recorder.stats.waiting:
            self._deliver_last_words()
        # Of a program that records in the session itself, only once all that it said of itself is there.
        if not self._named:
            self._name()
            self._recorder.finish()

    def _deliver_last_words(self) -> None:
        """What the program itself recorded, and could not send any more."""
        with contextlib.suppress(OSError, RuntimeError):
            folder = journal_root(os.environ).absolute() / self._session_id
            now = time.monotonic()
            deadline = now + self._program.options.exit_timeout
            to_server = transports(self._program.options.url, self._program.options.key)
            deliver_one(folder, self._clock, to_server, free_by=now + _OTHERS_DELIVER, deadline=deadline)
