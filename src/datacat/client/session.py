"""The handle that a program holds.

What must hold: a call encodes at once, puts the record into the buffer, and returns. It waits for
no lock, no disk and no server, and raises only for what the programmer wrote wrong.
"""

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from threading import get_ident
from types import TracebackType
from typing import Any, Final, Self

from msgspec import Raw
from msgspec.structs import asdict

from datacat.client import crashdump, exitcode, hooks, pulse
from datacat.client.api import DatacatClient
from datacat.client.arguments import (
    Tags,
    check_kind,
    check_mapping,
    check_monitor_name,
    check_name,
    check_value,
    label,
    tag_list,
)
from datacat.client.encode import encode_data, encode_object, encode_quickly, event_form
from datacat.client.eventloop import EventLoop
from datacat.client.exitcode import Left
from datacat.client.journals import left_behind
from datacat.client.monitors import Monitors
from datacat.client.options import Options
from datacat.client.pulse import Pulse
from datacat.client.recorder import Recorder, Stats
from datacat.client.text import text_of
from datacat.client.transport import Transport
from datacat.client.watchdog_launch import Watchdog
from datacat.model import causes, limits
from datacat.model.clock import Clock, SystemClock
from datacat.model.ids import new_session_id
from datacat.model.records import EMPTY, Base, End, Event, Exit, Heartbeat, Kind, Level, Metric, Start, State
from datacat.model.state import parse_pointer

_STDERR: Final = 2

_leaving: "list[Session]" = []
"""Sessions that ended as a program does, and are watched on: somebody may catch what it was to end with."""


class Session:
    """One run of this program; made by :func:`datacat.create_session`."""

    def __init__(
        self,
        start: Start,
        options: Options,
        *,
        session_id: str | None = None,
        clock: Clock | None = None,
        make_transport: Callable[[], Transport] | None = None,
        goes_on: bool = False,
    ) -> None:
        self.session_id = session_id or new_session_id()
        self.options = options
        self._start = start
        self._clock = clock or SystemClock()
        self._make_transport = make_transport
        self._monotonic = self._clock.monotonic
        self._goes_on = goes_on
        _leave_standard_files_closed()
        last_seq, base = 0, None if goes_on else 0
        if goes_on and options.journal:
            last_seq, base = left_behind(self.session_id, self._clock)
        _live_on()
        self._begin(last_seq=last_seq, base=base)
        self._open()
        hooks.listen(self)

    def _begin(self, *, last_seq: int = 0, base: int | None = 0) -> None:
        self._watchdog: Watchdog | None = None
        self._ending = self._ended = False
        self._over = self._rests = False
        self._silent = False
        self._opened = False
        self._beat_into(self._new_pulse())
        self._fatal: BaseException | None = None
        self._recorder = Recorder(
            self.session_id,
            self._start,
            self.options,
            self._clock,
            transport=self._make_transport() if self._make_transport else None,
            last_seq=last_seq,
            base=base,
            contact_every=self._start.contact_timeout and self._start.contact_timeout / 4,
            complain=self._on_complaint,
            leaves=True,
            at_rest=self._at_rest,
        )
        self._append = self._recorder.append

    def _beat_into(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._monitors = Monitors(
            pulse,
            self._clock,
            self.log_event,
            lambda: self._record("heartbeat", Heartbeat(time=self._clock.now())),
        )
        self._slots = self._monitors.slots

    def _new_pulse(self) -> Pulse:
        try:
            return Pulse(shared=self.options.watchdog)
        except OSError:  # whoever starts the watchdog complains
            return Pulse(shared=False)

    def _open(self) -> None:
        """Record the start, and begin to ship; in a forked child only when there is something to record."""
        if not self._recorder.open():
            return
        if self.options.capture_exceptions and self._recorder.folder is not None:
            crashdump.listen(self._recorder.folder)
        self._opened = True
        if self.options.watchdog:
            folder = self._recorder.folder
            self._watchdog = Watchdog(
                self._pulse,
                {
                    "session_id": self.session_id,
                    "start": encode_quickly(self._start),
                    "options": asdict(self.options),
                    "root": str(folder.parent) if folder else None,
                    "says_goodbye": self.options.end_at_exit,
                    "goes_on": self._goes_on,
                    "process_metrics": self.options.process_metrics,
                },
                lambda reason: self.log_event("watchdog_unavailable", {"reason": reason}, level="warning"),
            )
            self._watchdog.start()

    def _record(self, kind: str, record: Base) -> None:
        if self._silent:
            return
        if not self._opened and not self._ended:
            self._open()
        self._recorder.record(kind, record)
        if self._ended:
            self._go_on()

    def _go_on(self) -> None:
        self._rests = False
        self._recorder.go_on()

    def _at_rest(self) -> None:
        """All is delivered after the end: where nothing can add to it any more, nothing of us runs on."""
        if self._recorder.folder is not None:
            crashdump.leave(self._recorder.folder)
        self._rests = True
        self._let_go()

    def _outlived(self) -> None:
        """The program did not end with the session: how it ends says nothing of it any more."""
        self._over = True
        self._pulse.say_goodbye(pulse.ENDED)
        self._let_go()

    def _let_go(self) -> None:
        if self._watchdog is not None and self._over and self._rests:
            self._pulse.say_goodbye(pulse.ENDED)  # so that the watchdog knows why it is let go of
            self._watchdog.release()

    def _on_complaint(self, complaint: str) -> None:
        self.log_event("journal_unavailable", {"reason": complaint}, level="warning")

    # What happened

    def update_state(self, changes: Mapping[str, Any], *, remove: Sequence[str] = ()) -> None:
        """Merge ``changes`` into the state, after removing what the JSON Pointers in ``remove`` name.

        Objects merge, all else (arrays too) is replaced, and None is a value that is kept.
        """
        check_mapping(changes, "changes")
        if isinstance(remove, str):
            raise TypeError(f"remove must be a list of JSON Pointers: write remove=[{remove!r}]")
        for pointer in remove:
            parse_pointer(pointer)
        merge: Any = Raw(encode_object(changes))
        record = State(time=self._clock.now(), merge=merge, remove=list(remove))
        self._record("state", record)

    def log_event(
        self,
        name: str,
        data: Mapping[str, Any] | None = None,
        *,
        level: Level = "info",
        message: str | None = None,
    ) -> None:
        """Record a named moment with a level, a message and data."""
        if type(name) is not str:
            check_name(name)
        form = event_form(name, level)
        if data is not None and type(data) is not dict:
            check_mapping(data, "data")
        raw = b"{}" if data is None else encode_data(data)
        now = self._clock.now()
        if message is None and self._opened and not self._silent:
            self._append("event", form, now, raw)
            if self._ended:  # by another thread, meanwhile
                self._go_on()
            return
        if message is not None:
            message = text_of(message)
            if len(message) > limits.MAX_MESSAGE_LENGTH:
                message = message[: limits.MAX_MESSAGE_LENGTH - 1] + "…"
        self._record("event", Event(time=now, name=name, level=level, message=message, data=Raw(raw)))

    def log_metric(
        self, name: str, value: float, *, tags: Tags = (), kind: Kind = "gauge", unit: str | None = None
    ) -> None:
        """Record a number; one that is not finite, which JSON cannot hold, becomes an event that says so."""
        check_name(name)
        check_kind(kind)
        number = check_value(value)
        listed = tag_list(tags) if tags else []
        unit = label(unit, "unit")
        if math.isfinite(number):
            record = Metric(
                time=self._clock.now(), name=name, value=number, kind=kind, unit=unit, tags=listed
            )
            self._record("metric", record)
        else:
            data = {"metric": name, "value": str(number), "tags": listed}
            self.log_event("metric_not_finite", data, level="warning")

    def log_counter(self, name: str, value: float = 1, *, tags: Tags = (), unit: str | None = None) -> None:
        """Record an increment: the sum over time is what counts."""
        self.log_metric(name, value, tags=tags, kind="counter", unit=unit)

    def log_gauge(self, name: str, value: float, *, tags: Tags = (), unit: str | None = None) -> None:
        """Record a level, as it is now."""
        self.log_metric(name, value, tags=tags, kind="gauge", unit=unit)

    def log_histogram(self, name: str, value: float, *, tags: Tags = (), unit: str | None = None) -> None:
        """Record one sample of many, whose distribution is of interest."""
        self.log_metric(name, value, tags=tags, kind="histogram", unit=unit)

    @contextmanager
    def timer(self, name: str, *, tags: Tags = ()) -> Iterator[None]:
        """Record the seconds that a block (or, as a decorator, a function) takes."""
        check_name(name)
        listed = tag_list(tags)
        began = time.perf_counter()
        try:
            yield
        finally:
            self.log_metric(name, time.perf_counter() - began, tags=listed, kind="timer", unit="s")

    def log_exception(self, error: BaseException | None = None, *, level: Level = "error") -> None:
        """Record an exception, by default the one being handled, with its traceback."""
        if error is None:
            error = sys.exception()
        if error is None:
            raise ValueError(
                "no exception is being handled: call log_exception() in an except block, or pass one"
            )
        self.log_event("exception", hooks.describe(error), level=level, message=text_of(error))

    # Is it alive

    def start_heartbeat_monitor(
        self, timeout: float = 60, check_interval: float = 5, *, name: str = "main"
    ) -> None:
        """Watch for ``heartbeat(name)``; more than ``timeout`` seconds without one is a hang."""
        check_monitor_name(name)
        self._monitors.start(name, timeout, check_interval)

    def start_asyncio_monitor(
        self, timeout: float = 5, check_interval: float = 1, *, name: str = "asyncio"
    ) -> None:
        """Watch the running event loop: one that turns no more for ``timeout`` seconds is a hang.

        The hang is told with the task that runs and those that wait. Where exceptions are captured, those of tasks that
        nobody asks for, and of callbacks, are recorded too: what a loop waits for may have died. Call it in the loop.

        Raises:
            RuntimeError: no event loop is running.
        """
        check_monitor_name(name)
        loop = EventLoop()
        if self.options.capture_exceptions and not self._silent:
            loop.hear(self.on_unheard, lambda: not self._ended)
        self._monitors.start(name, timeout, check_interval, loop.runs, loop.describe)
        slot = self._slots[name]
        loop.beat_every(
            min(timeout / 4, check_interval), lambda: self._slots.get(name) is slot, self.heartbeat, name
        )

    def heartbeat(self, name: str = "main") -> None:
        """The loop ``name`` is alive: two stores into memory, cheap enough for any loop."""
        slot = self._slots.get(name)
        if slot is not None:
            slot[pulse.LAST_BEAT] = self._monotonic()
            slot[pulse.THREAD] = get_ident()

    def stop_heartbeat_monitor(self, name: str | None = None) -> None:
        """Stop one monitor, or all. Who stops the watch on itself is alive: that ends its hang."""
        for monitor in self._monitors.named(name):
            self._monitors.stop(monitor.name, alive=monitor.slot[pulse.THREAD] == get_ident())

    @contextmanager
    def pause_heartbeat_monitor(self, name: str | None = None) -> Iterator[None]:
        """No hang is found while the block runs: a long step that was announced is none."""
        monitors = self._monitors.named(name)
        for monitor in monitors:
            monitor.pause()
        try:
            yield
        finally:
            for monitor in monitors:
                monitor.resume()

    # Its end

    @property
    def stats(self) -> Stats:
        """What became of the records so far."""
        return self._recorder.stats

    def get_details(self) -> dict[str, Any]:
        """The session as the server has it, after sending what waits. This one call waits and raises.

        Raises:
            RequestFailed: the server refuses or does not answer.
        """
        self.flush()
        return DatacatClient(self.options.url, key=self.options.key).get_session(self.session_id)

    def flush(self, timeout: float = 5) -> bool:
        """Wait until the server has everything, at most ``timeout`` seconds; whether it has."""
        return self._silent or self._recorder.flush(timeout)

    def end(self) -> None:
        """Say goodbye and wait for what is still to be sent, ``exit_timeout`` seconds at most.

        When all is delivered, nothing of the session runs on. What is recorded later is delivered too.
        Where the server cannot be reached, what waits stays in the journal, to be delivered by whichever session of
        this or another program comes to it, and nothing is waited for.
        """
        self._over = True
        self._finish("end", End(time=self._clock.now()))

    def _exit(
        self,
        cause: str,
        message: str | None = None,
        data: Mapping[str, Any] | None = None,
        *,
        waiting: bool = True,
    ) -> None:
        """As :meth:`end`, with how it came to it."""
        raw = Raw(encode_data(data)) if data else EMPTY
        record = Exit(time=self._clock.now(), cause=cause, message=message, data=raw)
        self._finish("exit", record, waiting=waiting)

    def _exit_by(self, error: BaseException) -> None:
        """The exit that an exception is which leaves the program, or the session's own block."""
        if isinstance(error, KeyboardInterrupt):
            self._exit(causes.INTERRUPTED, "interrupted from the keyboard")
        elif isinstance(error, SystemExit):
            self._exit_with(exitcode.left_by(error.code))
        else:
            data = {**hooks.describe(error), "thread": threading.current_thread().name}
            self._exit(causes.EXCEPTION, text_of(error)[: limits.MAX_MESSAGE_LENGTH], data)

    def _exit_with(self, left: Left, *, waiting: bool = True) -> None:
        if left.code:
            said = {"said": left.words[: limits.MAX_MESSAGE_LENGTH]} if left.words else {}
            message = f"left with exit code {left.code}"
            self._exit(causes.EXIT_CODE, message, {"exit_code": left.code, **said}, waiting=waiting)
        else:
            self._exit(causes.CLEAN, waiting=waiting)

    def _finish(self, kind: str, record: Base, *, waiting: bool = True) -> None:
        if self._ending or self._silent:
            return
        self._ending = True
        self._monitors.stop()
        self._record(kind, record)
        # From here on each record is a late one; not sooner, as the end is to be there before anything is left.
        self._ended = True
        self._opened = False
        self._pulse.say_goodbye(pulse.ENDED if kind == "end" else pulse.EXITING)
        if self._watchdog is not None and not self._over:
            _leaving.append(self)
        if waiting:
            self._recorder.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or hooks.is_called_off(error):
            self.end()
            return
        if isinstance(error, Exception):
            self.log_exception(error)
            self._over = True
        self._exit_by(error)

    # What the process tells us; see hooks.py

    def on_uncaught(self, error: BaseException, thread: str, *, fatal: bool) -> None:
        """Record an exception that nobody caught."""
        if self._ended or not self.options.capture_exceptions:
            return
        if fatal:
            self._fatal = error
        self._log_uncaught(error, "fatal" if fatal else "error", {"thread": thread})

    def on_unheard(self, error: BaseException, task: str) -> None:
        """Record an exception in an event loop that nobody caught: it goes on without that task."""
        self._log_uncaught(error, "error", {"task": task})

    def _log_uncaught(self, error: BaseException, level: Level, where: dict[str, str]) -> None:
        if isinstance(error, Exception):
            data = {**hooks.describe(error), **where}
            self.log_event("uncaught_exception", data, level=level, message=text_of(error))

    def on_exit(self, left: Left | None) -> None:
        """End with the program, unless it was told not to; a forked child that recorded nothing has nothing to end."""
        if self._ended:
            self._recorder.finish()
        elif self._fatal is not None:
            self._exit_by(self._fatal)
        elif (left and left.code) or (self.options.end_at_exit and self._opened):
            self._exit_with(left or Left(0))
        else:
            self._recorder.finish()

    def on_leaving_at_once(self, code: int) -> None:
        """Write down that the program ends; nobody waits for it to be sent."""
        if self._opened and (code or self.options.end_at_exit):
            self._exit_with(Left(code), waiting=False)

    def on_fork(self) -> None:
        """Be in the middle of nothing."""
        if self._watchdog is not None:
            self._watchdog.hold()
        self._recorder.hold()

    def on_forked(self) -> None:
        """Go on."""
        self._recorder.let_go()
        if self._watchdog is not None:
            self._watchdog.let_go()

    def on_forked_child(self) -> None:
        """Become a session of its own: the parent's records, locks and connection are the parent's."""
        _leaving.clear()  # they are the parent's
        parent, ended = self.session_id, self._ended
        meanwhile = self._recorder.abandon()
        if self._watchdog is not None:
            self._watchdog.abandon()
        if ended or self.options.in_forked_child == "silent":
            self._silent = True
            hooks.forget(self)
            self._beat_into(Pulse(shared=False))  # the other is its parent's
            return
        self.session_id = new_session_id()
        self._goes_on = False
        self._start = copy(self._start)
        self._start.pid, self._start.time = os.getpid(), self._clock.now()
        self._start.parent_session_id = parent
        self._begin()
        for record in meanwhile:
            self._open()
            self._append(*record)


def _leave_standard_files_closed() -> None:
    """Where the program has none of the first three files, as under some daemons, no file of ours is to have its number.

    What the program or a library of it writes there, and fails to, would be written into our memory or our journal.
    """
    with suppress(OSError):
        # To whoever reads or writes it, one that was opened so is as good as closed; and programs it starts have none.
        while (file := os.open(os.devnull, getattr(os, "O_PATH", os.O_RDONLY))) <= _STDERR:
            pass
        os.close(file)


def _live_on() -> None:
    """Another session begins: the program did not end with those that seemed to end with it."""
    while _leaving:
        with suppress(IndexError):  # another thread was faster
            _leaving.pop()._outlived()  # noqa: SLF001  # a session's
