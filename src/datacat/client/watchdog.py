"""The watchdog: a small process beside the program, that sees what the program cannot say.

What must hold:

- **It costs nothing while all is well**: it starts with the standard library alone, looks a few
  times a second, and loads what it needs to record and to ship only when there is something to say.
- **It outlives the program**, for as long as it takes to deliver what the program left and the
  verdict; what cannot be delivered waits in journals for whoever comes next.
- **It is nobody's child, and writes into nobody's pipes.**

It is not to be imported: :mod:`datacat.client.watchdog_launch` starts it.
"""

import contextlib
import fcntl
import marshal
import os
import select
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from datacat.client import procfs, pulse
from datacat.client.oom import MemoryKills
from datacat.client.outside import Back, Continued, Finding, Outside, Silent, Stopped, untold
from datacat.client.procfs import Processor
from datacat.client.pulse import PulseReader

if TYPE_CHECKING:
    from datacat.client.watchdog_log import WatchdogLog

Settings = dict[str, Any]
"""What the program tells it: ``session_id``, ``start`` (the start record as JSON), ``options`` (as
:class:`datacat.client.options.Options`, a dict), ``root`` (of the journals, or None), ``says_goodbye``,
``goes_on`` (whether an earlier run recorded into the session), ``process_metrics`` (seconds, or None), and what :class:`Watchdog` adds."""

INTERVAL: Final = 0.25
"""Seconds between two looks."""

_STACKS_WITHIN: Final = 1.0
"""Seconds in which a program prints its stacks, if it can at all."""

_STACKS_LOOK: Final = 0.1
"""Between two looks whether they are complete; so long the thread's processor time is watched, too."""

# linux/pidfd.h
_PIDFD_INFO: Final = struct.Struct("<QQ11Ii")
_PIDFD_GET_INFO: Final = 3 << 30 | _PIDFD_INFO.size << 16 | 0xFF << 8 | 11
_PIDFD_INFO_EXIT: Final = 1 << 3


def main() -> None:
    """Read the settings from the standard input, leave the program's family, and watch."""
    settings: Settings = marshal.loads(sys.stdin.buffer.read())  # noqa: S302  # from our own parent
    process = _open(settings)
    os.chdir("/")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError), open("/proc/self/comm", "w") as name:  # noqa: PTH123  # pathlib is heavy
        name.write("datacat-watch")
    if settings["root"]:
        os.environ["DATACAT_JOURNAL_DIR"] = settings["root"]
    watch = Watch(settings)
    if os.fork():  # that this one ends tells the program that it is watched
        os._exit(0)
    if process is None:
        watch.bury(None, time.monotonic())
    else:
        watch.run(process)


def _open(settings: Settings) -> int | None:
    """The program's pidfd; None when it has ended already."""
    try:
        process = os.pidfd_open(settings["pid"])
    except ProcessLookupError:
        return None
    return process if procfs.start_time(settings["pid"]) == settings["process_start"] else None


class Watch:
    """Watches one program to its end.

    Args:
        settings: what the program told.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pulse = PulseReader(settings["pulse"])
        self._outside = Outside(time.monotonic(), INTERVAL)
        self._memory_kills = MemoryKills()
        self._memory_kills.look(settings["pid"])
        self._log: WatchdogLog | None = None
        self._sample_at = time.monotonic()
        self._worked: dict[str, Processor | None] = {}
        self._unable_since: float | None = None

    def run(self, process: int) -> None:
        """Until the program of this pidfd has ended, and what there is to say of it is delivered or written down."""
        poll = select.poll()
        poll.register(process, select.POLLIN)
        pid, pipe = self._settings["pid"], self._settings["ended"]
        poll.register(pipe, 0)  # its other end goes with the program: POLLHUP
        # It told before this began, and may have become another since; to whom its memory is not shown, it shows none.
        program = self._settings["program"] if procfs.memory(pid) else ()
        while True:
            ended = dict(poll.poll(INTERVAL * 1000))
            died = time.monotonic()
            replaced = bool(ended) and process not in ended and not procfs.exiting(pid)
            released = self._pulse.goodbye == pulse.ENDED
            if replaced and not released and procfs.memory(pid) == program:
                poll.unregister(pipe)  # it has closed all its files, as a daemon does
            elif ended:
                break
            else:
                self._look(process)
        if not replaced:  # the pipe may be faster than the process
            select.select([process], [], [])
        self.bury(None if replaced else self._wait_status(process), died, replaced=replaced)

    def bury(self, status: int | None, died: float, *, replaced: bool = False) -> None:
        """Say how it ended, and deliver what it left; nothing, where it has seen to both itself.

        Args:
            status: the wait status, where it is known.
            died: the monotonic time of the end.
            replaced: whether the process lives on as another program.
        """
        if self._log is not None or self._something_to_say(status):
            self._tell_recoveries(died)
            signs = None if replaced else (status, self._memory_kills.happened)
            self.log.bury(died, signs, self._pulse.goodbye)

    def _tell_recoveries(self, died: float) -> None:
        """The last beats may be later than the last look, of the monitor inside too."""
        slots = self._pulse.slots()
        found = self._outside.look(died, "", False, slots)
        for each in (*found, *untold(slots)):
            if isinstance(each, Back):
                self.log.back(died, each)

    def _something_to_say(self, status: int | None) -> bool:
        """Whether the program left anything undone: a verdict, or a journal."""
        root, goodbye = self._settings["root"], self._pulse.goodbye
        if goodbye == pulse.RUNNING or (root and os.path.exists(f"{root}/{self._settings['session_id']}")):  # noqa: PTH110  # as above
            return True
        return goodbye == pulse.EXITING and bool(status)

    @property
    def log(self) -> "WatchdogLog":
        """Where it says what it saw; from here on it is no longer small."""
        if self._log is None:
            sys.path += self._settings["path"]
            from datacat.client.watchdog_log import WatchdogLog

            self._log = WatchdogLog(self._settings)
        return self._log

    def _look(self, process: int) -> None:
        now = time.monotonic()
        pid = self._settings["pid"]
        slots = self._pulse.slots()
        state = procfs.state(pid)
        unable = self._outside.unable(now, slots)
        traced = state == "t" or (unable and procfs.traced(pid))
        self._watch_work(now, slots)
        for found in self._outside.look(now, state, traced, slots):
            self._tell(found, now, slots, process)
            self._outside.held_up(time.monotonic())
        self._keep_in_contact(now, unable=unable)
        if (interval := self._settings["process_metrics"]) and now >= self._sample_at:
            self._sample_at = now + interval
            self.log.sample_process()

    def _tell(self, found: Finding, now: float, slots: dict[str, tuple[float, ...]], process: int) -> None:
        match found:
            case Stopped(traced):
                self.log.stopped(now, traced=traced)
            case Continued(seconds):
                self.log.continued(now, seconds)
            case Back():
                self.log.back(now, found)
            case Silent():
                slot = slots[found.monitor]
                before, after = self._worked.get(found.monitor), self._processor(slot)
                dump = self._ask_for_stacks(process)
                if before is None or before.at >= now:
                    # A look too late to have watched it. Else it does not count that being asked has woken the thread.
                    after = self._processor(slot) or after
                self.log.silent(now, found, int(slot[pulse.THREAD]), dump, before, after)

    def _keep_in_contact(self, now: float, *, unable: bool) -> None:
        """Speak for the program, but not at once: what that loads would hold up the look at a hang."""
        if not unable:
            self._unable_since = None
            return
        if self._unable_since is None:
            self._unable_since = now
        promised = self._settings["options"]["contact_timeout"]
        if promised and now - self._unable_since >= promised / 4:
            self.log.keep_in_contact()

    def _watch_work(self, now: float, slots: dict[str, tuple[float, ...]]) -> None:
        """Note what the silent threads had used of the processor when they began to be suspicious."""
        for name, slot in slots.items():
            if self._outside.silent_for(now, name, slot) < slot[pulse.TIMEOUT] / 2:
                self._worked.pop(name, None)
            elif name not in self._worked:
                self._worked[name] = self._processor(slot)

    def _processor(self, slot: tuple[float, ...]) -> Processor | None:
        pid = self._settings["pid"]
        return procfs.processor(int(slot[pulse.NATIVE_THREAD]) or pid, pid)

    def _ask_for_stacks(self, process: int) -> str:
        """What the program's fault handler prints when asked by its signal, which needs no interpreter."""
        file, number = self._settings["stacks"], self._settings["stacks_signal"]
        os.ftruncate(file, 0)
        size = 0
        if number:
            signal.pidfd_send_signal(process, number)
        deadline = time.monotonic() + _STACKS_WITHIN
        while time.monotonic() < deadline:
            time.sleep(_STACKS_LOOK)
            grown = os.fstat(file).st_size
            if grown == size > 0:
                break
            size = grown
        return os.pread(file, size, 0).decode("utf-8", "replace")

    def _wait_status(self, process: int) -> int | None:
        """How the process ended, as its parent is told; None where the system tells nobody else."""
        for _ in range(20):
            status = procfs.wait_status(self._settings["pid"])
            if status is not None:
                return status
            asked = bytearray(_PIDFD_INFO.size)
            struct.pack_into("<Q", asked, 0, _PIDFD_INFO_EXIT)
            with contextlib.suppress(OSError):  # an older kernel
                fcntl.ioctl(process, _PIDFD_GET_INFO, asked)
                mask, *_, status = _PIDFD_INFO.unpack(asked)
                if mask & _PIDFD_INFO_EXIT:
                    return int(status)
            time.sleep(0.01)
        return None
