"""What the watchers' words make of a session: its status, its cause, its problems.

What must hold: several watchers see one death, each a part of it, and any of them may be heard
first. So what each said is kept (``exit``, the hangs), and the verdict is drawn from that anew
whenever something is added: it can be corrected for the better, never for the worse.

- An end record is final, and so is a crash. An end that merely came with the interpreter's (an
  exit record, cause ``clean``) is corrected by another watcher who saw it end badly; one who saw
  nothing (``unknown``) corrects nobody.
- Of two causes of a crash the one that says more stays; details are put together.
- Ended by a signal, or by nobody knows what, in the middle of a hang: ``killed_while_hung``.
- A watcher other than the one who told the end may be late with a hang, a recovery or a stop from before it.
- A process that goes on with the session ends what hung or stood still before it.
"""

from typing import Any

from datacat.model import causes
from datacat.model.clock import CLOCK_JUMP
from datacat.model.exits import exit_details, put_together, verdict
from datacat.model.fingerprint import crash_fingerprint
from datacat.model.hangs import Ledger
from datacat.model.lifecycle import FINAL, RUNNING, Status, Trigger, next_status
from datacat.model.problems import Problem
from datacat.model.records import End, Event, Exit, Origin, Start
from datacat.model.session import Session
from datacat.model.stops import stop_of
from datacat.model.titles import crash_title


class Verdict:
    """The verdict on ``session`` while a batch of ``origin``, received at ``received``, is folded."""

    def __init__(self, session: Session, origin: Origin, received: int) -> None:
        self._before = session
        self._origin = origin
        self._received = received
        self._status = session.status
        self._changed: dict[str, Any] = {}
        self._ledger: Ledger | None = None
        self._exit_changed = False

    def hang(self, event: Event) -> None:
        """A monitor's heartbeat is overdue."""
        ledger = self._hangs()
        if self._status not in FINAL:
            ledger.report(event, None)
            if ledger.open:
                self._move(Trigger.HANG)
        elif self._may_be_late():
            ledger.report(event, self._now("ended_at"))

    def recovery(self, event: Event) -> None:
        """A monitor's heart beats again."""
        ledger = self._hangs()
        if self._status not in FINAL:
            ledger.recovery(event, None)
            self._move(Trigger.CONTACT if ledger.open else Trigger.RECOVERY)
        elif self._may_be_late():
            ledger.recovery(event, self._now("ended_at"))

    def stop(self, event: Event) -> None:
        """The process was stopped, or continued, as the watchdog saw."""
        if self._origin is Origin.WATCHDOG and (self._status not in FINAL or self._may_be_late()):
            self._changed["stopped"] = stop_of(event)

    def start(self, record: Start) -> None:
        """A process begins, perhaps another that goes on with the session: what stood still before is not it."""
        if self._status not in FINAL and self._hangs().open:
            self._hangs().leave(record.time)
            self._move(Trigger.CONTACT if self._hangs().open else Trigger.RECOVERY)
        stopped = self._now("stopped")
        if stopped is not None and stopped.at < record.time:
            self._changed["stopped"] = None

    def end(self, record: End) -> None:
        """The program said goodbye."""
        if self._status not in FINAL:
            self._changed |= {"said_goodbye": True, "cause": causes.CLEAN}
            self._finish(Trigger.GOODBYE, record.time)
        elif self._status is Status.ENDED:
            self._changed["said_goodbye"] = True

    def exit(self, record: Exit) -> None:
        """A watcher saw the process end."""
        known = self._now("exit")
        if known is None and self._status is Status.CRASHED:
            known = {"cause": self._now("cause")}
        details = self._changed["exit"] = put_together(known, exit_details(record))
        self._exit_changed = True
        goodbye = record.cause in causes.GOODBYES
        if self._status not in FINAL:
            self._changed["cause"] = record.cause
            self._finish(Trigger.GOODBYE if goodbye else Trigger.CRASH, record.time)
        elif self._status is Status.ENDED and not self._now("said_goodbye"):
            if goodbye:
                self._changed["cause"] = details["cause"]
            elif self._saw_better(record.cause):
                self._move(Trigger.CORRECTION)

    def silence(self) -> bool:
        """The server says that contact is lost; whether that is so."""
        session = self._before
        timeout = session.contact_timeout
        if timeout is None or self._status not in RUNNING:
            return False
        silent = (self._received - session.updated_at) / 1_000_000
        # Last heard of in the future: that was before the clock was set back, and nothing came since.
        if -CLOCK_JUMP <= silent <= timeout:
            return False
        since = min(session.updated_at, self._received)
        self._move(Trigger.SILENCE)
        self._changed |= {"times_lost": session.times_lost + 1, "silent_since": since}
        return True

    def contact(self) -> None:
        """Something came from the program's side."""
        self._changed["updated_at"] = self._received
        if self._status is Status.LOST:
            self._move(Trigger.HANG if self._hangs().open else Trigger.CONTACT)

    def conclude(self) -> tuple[dict[str, Any], list[Problem]]:
        """The session's fields that are new, and its problems that are."""
        problems: list[Problem] = []
        if self._ledger is not None and self._ledger.rows:
            problems += self._ledger.rows.values()
            self._changed |= {
                "hangs": self._ledger.count,
                "hang_seconds": self._ledger.seconds,
                "first_hang_at": self._ledger.first_at,
                "recent_hangs": tuple(self._ledger.recent.values()),
            }
            if self._status in FINAL:
                self._changed["hung_at_end"] = bool(self._ledger.unrecovered)
        if self._status is Status.CRASHED and (self._exit_changed or problems):
            problems.append(self._crash())
        if loss := self._loss():
            problems.append(loss)
        if self._status is not self._before.status:
            self._changed["status"] = self._status
        return self._changed, problems

    def _move(self, trigger: Trigger) -> None:
        self._status = next_status(self._status, trigger)

    def _now(self, field: str) -> Any:
        return self._changed[field] if field in self._changed else getattr(self._before, field)

    def _hangs(self) -> Ledger:
        if self._ledger is None:
            session = self._before
            self._ledger = Ledger(
                session.recent_hangs, session.hangs, session.hang_seconds, session.first_hang_at
            )
        return self._ledger

    def _finish(self, trigger: Trigger, time: int) -> None:
        # A session of an older database may be hung without a hang that is known.
        self._changed["hung_at_end"] = self._status is Status.HUNG or bool(self._hangs().open)
        self._changed |= {"ended_at": time, "ended_by": self._origin}
        self._hangs().finish(time)
        self._move(trigger)

    def _may_be_late(self) -> bool:
        return self._origin is not self._now("ended_by")

    def _saw_better(self, cause: str) -> bool:
        return self._may_be_late() and cause != causes.UNKNOWN and self._now("cause") == causes.CLEAN

    def _crash(self) -> Problem:
        details = self._now("exit") or {"cause": self._now("cause")}
        hung_at_end, ended_at = self._now("hung_at_end"), self._now("ended_at")
        cause = self._changed["cause"] = verdict(details["cause"], hung=hung_at_end)
        hang = next(iter(self._hangs().unrecovered), None)
        return Problem(
            kind="crash",
            number=1,
            started_at=ended_at,
            ended_at=ended_at,
            detail=cause,
            fingerprint=crash_fingerprint(cause, details, hang.fingerprint if hang else None),
            title=crash_title(cause, details, hang.place if hang else ""),
        )

    def _loss(self) -> Problem | None:
        """Contact that was lost by this batch, or found again."""
        since = self._now("silent_since")
        if since is None:
            return None
        found = self._status is not Status.LOST
        if not found and self._before.silent_since is not None:
            return None
        if found:
            self._changed["silent_since"] = None
        return Problem(
            kind="lost",
            number=self._now("times_lost"),
            started_at=since,
            ended_at=max(since, self._received) if found else None,
            seconds=max(0, self._received - since) / 1e6 if found else None,
            title=f"silent for longer than the promised {self._before.contact_timeout:g} s",
        )
