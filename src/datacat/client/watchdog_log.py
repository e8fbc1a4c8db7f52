"""What the watchdog says, and how it gets to the server: records of origin ``watchdog``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw

from datacat.client import crashdump, dumps
from datacat.client.backoff import Backoff
from datacat.client.death import Signs, verdict
from datacat.client.encode import encode_data
from datacat.client.journals import left_behind
from datacat.client.leftovers import deliver_one
from datacat.client.options import Options
from datacat.client.outside import Back, Silent
from datacat.client.procfs import Processor, kind_of
from datacat.client.pulse import ENDED, RUNNING
from datacat.client.recorder import Recorder
from datacat.client.transport import transports
from datacat.model import causes
from datacat.model.clock import SystemClock
from datacat.model.records import Event, Exit, Level, Metric, Origin, Start

if TYPE_CHECKING:
    from datacat.client.process_metrics import ProcessMetrics

_DELIVER_WITHIN: Final = 15.0
"""Seconds that the watchdog outlives its program when the server does not answer."""

_JOURNAL_FIRST: Final = 1.0
"""Seconds for the program's own records to come before the verdict on it, as they were."""


class WatchdogLog:
    """Records what the watchdog saw, and when.

    ``seen`` is everywhere the monotonic time of the look: to load this, and to ask for stacks, takes a second.

    Args:
        settings: see :data:`datacat.client.watchdog.Settings`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._pid: int = settings["pid"]
        self._clock = SystemClock()
        self._options = msgspec.convert(settings["options"], Options)
        start = msgspec.json.decode(settings["start"], type=Start)
        start.contact_timeout = None  # that promise is the program's
        earlier: tuple[int, int | None] = 0, 0
        if settings["goes_on"]:
            earlier = left_behind(settings["session_id"], self._clock, Origin.WATCHDOG)
        self._recorder = Recorder(
            settings["session_id"],
            start,
            self._options,
            self._clock,
            origin=Origin.WATCHDOG,
            last_seq=earlier[0],
            base=earlier[1],
            ship_leftovers=False,
            contact_every=self._options.contact_timeout and self._options.contact_timeout / 4,
        )
        self._process: ProcessMetrics | None = None

    def stopped(self, seen: float, *, traced: bool) -> None:
        """A signal stopped the program, or who debugs it."""
        by = "a debugger" if traced else "a signal"
        self._event(seen, "application_stopped", {"by": by}, message=f"the process was stopped by {by}")

    def continued(self, seen: float, seconds: float) -> None:
        """It goes on."""
        self._event(seen, "application_continued", {"seconds_stopped": round(seconds, 3)})

    def silent(
        self,
        seen: float,
        hang: Silent,
        thread: int,
        dump: str,
        before: Processor | None,
        after: Processor | None,
    ) -> None:
        """The program hangs, and cannot tell it itself."""
        stacks = dumps.parse(dump, {self._settings["main_thread"]: "MainThread"}, first=thread)
        data = {
            "monitor": hang.monitor,
            "timeout": hang.timeout,
            "seconds_since_heartbeat": round(hang.seconds, 3),
            "kind": kind_of(before, after, hang.seconds + (after.at - seen if after else 0.0)),
            "gil_held": True,
            "thread": stacks[0]["thread"] if stacks else "",
            "cpu_seconds": round(after.used - before.used, 3) if before and after else None,
            "watched_seconds": round(after.at - before.at, 3) if before and after else None,
            "stacks": stacks,
            "heartbeat": hang.beat,
        }
        self._event(seen, "application_appears_hung", data, level="error")

    def back(self, seen: float, end: Back) -> None:
        """A hang is over."""
        data = {
            "monitor": end.monitor,
            "seconds_hung": round(end.seconds, 3),
            "seconds_since_heartbeat": round(seen - end.at, 3),
            "heartbeat": end.beat,
        }
        self._event(seen, "application_recovered", data)

    def keep_in_contact(self) -> None:
        """The program is there, though it cannot say so: the server is told in its place."""
        if not self._recorder.opened:
            self._recorder.open()

    def sample_process(self) -> None:
        """Record what the process uses."""
        if self._process is None:
            from datacat.client.process_metrics import ProcessMetrics

            self._process = ProcessMetrics(self._pid)
        for name, value, kind, unit, tags in self._process.sample():
            now = self._clock.now()
            self._recorder.record(
                "metric", Metric(time=now, name=name, value=value, kind=kind, unit=unit, tags=tags)
            )

    def bury(self, died: float, signs: tuple[int | None, bool] | None, goodbye: float) -> None:
        """Deliver what the program left, say how it ended, and see to it that this arrives.

        Args:
            died: the monotonic time of its end.
            signs: the wait status, where it is known, and whether the kernel killed for want of
                memory; None when the process lives on as another program.
            goodbye: what the program itself has said, see :data:`datacat.client.pulse.GOODBYE`.
        """
        deadline = time.monotonic() + _DELIVER_WITHIN
        dump = self._crash_dump()
        self._deliver_journal(min(deadline, time.monotonic() + _JOURNAL_FIRST))
        if signs is None:
            if goodbye == RUNNING:
                self._exit(died, causes.REPLACED, "the process runs another program now", {})
        elif goodbye != ENDED:
            status, out_of_memory = signs
            found = verdict(Signs(status, dump, out_of_memory))
            expected = goodbye != RUNNING or not self._settings["says_goodbye"]
            if not (expected and found.cause in (causes.CLEAN, causes.UNKNOWN)):
                self._exit(died, *found)
        backoff = Backoff()
        while not self._recorder.finish() and time.monotonic() < deadline:
            time.sleep(min(backoff.failed(), 1.0))
        self._deliver_journal(deadline)

    def _exit(self, died: float, cause: str, message: str, data: dict[str, Any]) -> None:
        record = Exit(time=self._time_of(died), cause=cause, message=message, data=Raw(encode_data(data)))
        self._recorder.record("exit", record)

    def _event(
        self,
        seen: float,
        name: str,
        data: dict[str, Any],
        *,
        level: Level = "info",
        message: str | None = None,
    ) -> None:
        raw = Raw(encode_data(data))
        record = Event(time=self._time_of(seen), name=name, level=level, message=message, data=raw)
        self._recorder.record("event", record)

    def _time_of(self, seen: float) -> int:
        return self._clock.now() - int((self._clock.monotonic() - seen) * 1e6)

    @property
    def _folder(self) -> Path | None:
        root = self._settings["root"]
        return Path(root, self._settings["session_id"]) if root else None

    def _crash_dump(self) -> str:
        return crashdump.read(self._folder) if self._folder else ""

    def _deliver_journal(self, deadline: float) -> None:
        """What is left of the program's own records."""
        if self._folder is not None:
            to_server = transports(self._options.url, self._options.key)
            deliver_one(
                self._folder,
                self._clock,
                to_server,
                free_by=deadline,
                deadline=deadline,
                verdict_follows=True,
            )
