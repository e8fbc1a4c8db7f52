"""Every way in which a program can go, and what is to be said of it: the matrix.

``docs/reference/verdicts.md`` is written from it, and ``test_verdicts.py`` runs every row of it, with
real processes, twenty times. ``python -m tests.acceptance.verdicts`` writes the page anew.
"""

from pathlib import Path
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

Then = Literal["", "kill when hung", "stop for a while", "debug for a while"]
Watcher = Literal["alone", "watchdog", "run"]
"""Who watches: the client inside the program alone, whose journal is found later by another program; the
watchdog beside it; or ``datacat run`` as its parent."""

PAGE: Final = Path(__file__).parents[2] / "docs/reference/verdicts.md"

TIMEOUT: Final = 0.8
CHECK_INTERVAL: Final = 0.2


class Expected(Struct, frozen=True):
    """What the session says in the end.

    ``hung`` is the kind of its one hang, None when there must be none; ``where`` a function on the
    hung thread's stack; ``events`` names that must be there, ``says`` text that its exit must have.
    """

    status: str
    cause: str
    hung_at_end: bool = False
    hung: str | None = None
    where: str = ""
    events: tuple[str, ...] = ()
    says: str = ""


class Row(Struct, frozen=True):
    """One way to go: ``code`` runs with a ``session``; ``then`` is what is done to it from outside."""

    program: str
    code: str
    expected: dict[Watcher, Expected]
    then: Then = ""
    load: Literal["ends", "works", "waits"] = "waits"


CLEAN: Final = Expected("ended", "clean")
UNKNOWN: Final = Expected("crashed", "unknown")


def _exit_code(code: int) -> Expected:
    return Expected("crashed", "exit_code", says=f"exit code {code}")


def _signal(name: str) -> Expected:
    return Expected("crashed", "signal", says=name)


def _interpreter(says: str) -> Expected:
    return Expected("crashed", "interpreter_crash", says=says)


def _exception(says: str) -> Expected:
    return Expected("crashed", "exception", says=says)


def _all(expected: Expected) -> dict[Watcher, Expected]:
    return {"alone": expected, "watchdog": expected, "run": expected}


def _both(expected: Expected) -> dict[Watcher, Expected]:
    return {"alone": expected, "watchdog": expected}


ENDS: Final = [
    Row("returns normally", "pass", _all(CLEAN)),
    Row("`sys.exit(0)`", "sys.exit(0)", _both(CLEAN)),
    Row("`end()`, then lingers and is killed", "session.end(); time.sleep(0.1); kill(9)", _both(CLEAN)),
    Row(
        "uncaught exception in main",
        "def fail(): raise ValueError('no such page')\nfail()",
        _all(_exception("in fail")),
    ),
    Row(
        "uncaught exception in a thread (recorded, not fatal)",
        "def fail(): 1 / 0\nthread = threading.Thread(target=fail); thread.start(); thread.join()",
        _both(Expected("ended", "clean", events=("uncaught_exception",))),
    ),
    Row("`sys.exit(3)`", "sys.exit(3)", _all(_exit_code(3))),
    Row(
        "`raise SystemExit(3)`",
        "raise SystemExit(3)",
        {"alone": CLEAN, "watchdog": _exit_code(3), "run": _exit_code(3)},
    ),
    Row("`os._exit(3)`", "os._exit(3)", _all(_exit_code(3))),
    Row("Ctrl-C", "raise KeyboardInterrupt", _both(Expected("ended", "interrupted"))),
    Row(
        "SIGKILL",
        "kill(signal.SIGKILL)",
        {"alone": UNKNOWN, "watchdog": _signal("SIGKILL"), "run": _signal("SIGKILL")},
    ),
    Row(
        "SIGTERM, unhandled",
        "kill(signal.SIGTERM)",
        {"alone": UNKNOWN, "watchdog": _signal("SIGTERM"), "run": _signal("SIGTERM")},
    ),
    Row("SIGSEGV", "def touch(): ctypes.string_at(0)\ntouch()", _all(_interpreter("in touch"))),
    Row("`abort()`", "def give_up(): os.abort()\ngive_up()", _all(_interpreter("in give_up"))),
    Row(
        "stack overflow in C",
        "import functools, resource\nsys.setrecursionlimit(10**7)\n"
        "resource.setrlimit(resource.RLIMIT_STACK, (192 * 1024, resource.getrlimit(resource.RLIMIT_STACK)[1]))\n"
        "def deeper():\n    return functools.reduce(lambda a, b: deeper(), [1, 2])\ndeeper()",
        _both(_interpreter("deeper")),
    ),
]

_STUCK: Final = {
    "deadlock of two locks": """
a, b, ready = threading.Lock(), threading.Lock(), threading.Event()
def other():
    with b:
        ready.set()
        a.acquire()
def stuck():
    with a:
        threading.Thread(target=other, daemon=True).start()
        ready.wait()
        b.acquire(timeout=HOW_LONG)
""",
    "blocking read": """
def stuck():
    there, here = os.pipe()
    threading.Timer(HOW_LONG, os.write, (here, b"x")).start()
    os.read(there, 1)
""",
    "`time.sleep`": """
def stuck():
    time.sleep(HOW_LONG)
""",
    "infinite Python loop": """
def stuck():
    until = time.monotonic() + HOW_LONG
    while time.monotonic() < until:
        pass
""",
    "asyncio loop blocked": """
async def stuck():
    time.sleep(HOW_LONG)
""",
    "a regular expression that explodes (the interpreter's lock is held)": """
def match(letters):
    began = time.monotonic()
    re.match("(a+)+$", "a" * letters + "b")
    return time.monotonic() - began
letters = 18
while match(letters) < 0.05:
    letters += 1
def stuck():
    until = time.monotonic() + HOW_LONG
    while time.monotonic() < until:
        match(letters + 5)
""",
    "a ctypes call (the interpreter's lock is held)": """
class Until(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]
mutex = ctypes.create_string_buffer(64)
def stuck():
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
    until = time.time() + HOW_LONG
    moment = Until(int(until), int(until % 1 * 1e9))
    ctypes.PyDLL(None).pthread_mutex_timedlock(mutex, ctypes.byref(moment))
""",
}
_SPINNING: Final = {
    "infinite Python loop",
    "a regular expression that explodes (the interpreter's lock is held)",
}
_LOCKED: Final = {
    "a regular expression that explodes (the interpreter's lock is held)",
    "a ctypes call (the interpreter's lock is held)",
}

_MONITORED: Final = """
{stuck}
session.start_heartbeat_monitor({timeout}, {check_interval})
for _ in range(4):
    session.heartbeat(); time.sleep(0.05)
stuck()
for _ in range(9):
    session.heartbeat(); time.sleep(0.05)
"""
_MONITORED_LOOP: Final = """
{stuck}
async def main():
    session.start_asyncio_monitor({timeout}, {check_interval})
    await asyncio.sleep(0.2)
    await stuck()
    await asyncio.sleep(0.5)
asyncio.run(main())
"""
_LASTS: Final = 2
_FOR_EVER: Final = 60


def _monitored(stuck: str, how_long: float) -> str:
    frame = _MONITORED_LOOP if "async def" in stuck else _MONITORED
    code = frame.format(stuck=stuck, timeout=TIMEOUT, check_interval=CHECK_INTERVAL)
    return code.replace("HOW_LONG", str(how_long))


def _hangs() -> list[Row]:
    rows = []
    for program, stuck in _STUCK.items():
        hung = "spinning" if program in _SPINNING else "blocked"
        load: Literal["works", "waits"] = "works" if program in _SPINNING | _LOCKED else "waits"
        recovered = Expected("ended", "clean", hung=hung, where="stuck")
        killed = Expected("crashed", "killed_while_hung", hung_at_end=True, hung=hung, where="stuck")
        alone: tuple[Watcher, ...] = () if program in _LOCKED else ("alone",)
        killed_alone = alone if program == "`time.sleep`" else ()
        rows += [
            Row(
                f"{program}, then recovers",
                _monitored(stuck, _LASTS + (program in _LOCKED)),
                dict.fromkeys((*alone, "watchdog"), recovered),
                load=load,
            ),
            Row(
                f"{program}, then is killed",
                _monitored(stuck, _FOR_EVER),
                dict.fromkeys((*killed_alone, "watchdog"), killed),
                then="kill when hung",
                load=load,
            ),
        ]
    ends = _monitored(_STUCK["`time.sleep`"], _LASTS).replace(
        "stuck()\nfor", "threading.Timer(1.5, session.end).start()\nstuck()\nfor"
    )
    still_hung = Expected("ended", "clean", hung_at_end=True, hung="blocked", where="stuck")
    rows.append(
        Row(
            "`time.sleep`, then another thread ends the session",
            ends,
            {"alone": still_hung, "watchdog": still_hung},
        )
    )
    return rows


_QUIET: Final = "session.start_heartbeat_monitor({timeout}, {check_interval})\n{code}"


def _quiet(code: str) -> str:
    return _QUIET.format(timeout=TIMEOUT, check_interval=CHECK_INTERVAL, code=code)


_BEATING: Final = "for _ in range(50): session.heartbeat(); time.sleep(0.05)"

NO_HANG: Final = [
    Row(
        "SIGSTOP, then SIGCONT",
        _quiet(_BEATING),
        {
            "alone": CLEAN,
            "watchdog": Expected("ended", "clean", events=("application_stopped", "application_continued")),
        },
        then="stop for a while",
    ),
    Row(
        "held by a debugger, then let go",
        _quiet(_BEATING),
        {
            "alone": CLEAN,
            "watchdog": Expected("ended", "clean", events=("application_stopped", "application_continued")),
        },
        then="debug for a while",
    ),
    Row(
        "wall clock set back an hour, then forward",
        "import datacat.model.clock as clocks\n"
        "class Jumping(clocks.SystemClock):\n"
        "    by = 0\n"
        "    def now(self): return super().now() + self.by * 3_600_000_000\n"
        "session._clock = session._monitors._clock = clock = Jumping()\n"
        + _quiet("for n in range(30): clock.by = (0, -1, 1)[n // 10]; session.heartbeat(); time.sleep(0.05)"),
        {"alone": CLEAN, "watchdog": CLEAN},
    ),
    Row(
        "`pause_heartbeat_monitor()` around long work",
        _quiet("with session.pause_heartbeat_monitor(): time.sleep(1.6)"),
        {"alone": CLEAN, "watchdog": CLEAN},
    ),
    Row("never started a monitor", "time.sleep(1.6)", {"alone": CLEAN, "watchdog": CLEAN}),
]

ROWS: Final = [*(replace(row, load="ends") for row in ENDS), *_hangs(), *NO_HANG]

_WORDS: Final = {
    "alone": "the client alone",
    "watchdog": "`watchdog=True`",
    "run": "`datacat run`",
}


def page() -> str:
    """The table, for people."""
    lines = [
        "# Verdicts",
        "",
        "What datacat says of a program, by how it went and who watched it. Every line is run with real processes,",
        f"twenty times in a row; the hangs with a timeout of {TIMEOUT} s and a check every {CHECK_INTERVAL} s.",
        "",
        "*The client alone* is `create_session()` and nothing else: of a program that could not speak any more, its",
        "journal speaks, when the next program starts or at `datacat flush`; until then the session is `lost` once it",
        "has been silent for longer than it promised (`contact_timeout`, 60 s). *`watchdog=True`* is a process beside",
        "it, which says it within two seconds. *`datacat run`* is its parent. A dash: not run.",
        "",
        "This page is written from the tests: `python -m tests.acceptance.verdicts`.",
        "",
    ]
    for title, rows in (("How it ends", ENDS), ("How it hangs", _hangs()), ("No hang", NO_HANG)):
        lines += [
            f"## {title}",
            "",
            "| the program | " + " | ".join(_WORDS.values()) + " |",
            "| --- | --- | --- | --- |",
        ]
        for row in rows:
            cells = [_cell(row.expected.get(watcher)) for watcher in ("alone", "watchdog", "run")]
            lines.append(f"| {row.program} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(expected: Expected | None) -> str:
    if expected is None:
        return "-"
    words = [f"**{expected.status}**", f"`{expected.cause}`"]
    if expected.says:
        words.append(expected.says)
    if expected.hung:
        words.append(
            f"hung: {expected.hung} in `{expected.where}`" + ("" if expected.hung_at_end else ", recovered")
        )
    if expected.events:
        words.append(" ".join(f"`{name}`" for name in expected.events))
    return ", ".join(words)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
