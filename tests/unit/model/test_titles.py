import pytest

from datacat.model.hangs import Hang
from datacat.model.lifecycle import Status
from datacat.model.session import Session
from datacat.model.stops import Stop
from datacat.model.titles import crash_title, sentence

SECOND = 1_000_000


def hang(**fields):
    return Hang(
        number=1, monitor="main", kind="blocked", started_at=0, fingerprint="f",
        place="Queue.get (worker.py:31)", code="item = q.get()", **fields,
    )  # fmt: skip


def session(status, *hangs, **fields):
    return Session(id="x", created_at=0, updated_at=SECOND, status=status, recent_hangs=hangs, **fields)


ENDED_IN_IT = hang(ended_at=12_300_000, seconds=12.3)
AT_THE_END = {"hung_at_end": True, "ended_at": 12_300_000, "hangs": 1}

CASES = [
    (session(Status.ACTIVE), "running"),
    (
        session(
            Status.ACTIVE, hang(recovered=True, ended_at=2 * SECOND, seconds=2.0), hangs=1, hang_seconds=2.0
        ),
        "running; it hung once, for 2.0 s in all",
    ),
    (
        session(Status.HUNG, hang()),
        "hung for 20.0 s, blocked in Queue.get (worker.py:31): item = q.get()",
    ),
    (session(Status.ACTIVE, stopped=Stop(8 * SECOND, "a signal")), "stopped by a signal for 12.0 s"),
    (session(Status.HUNG), "hung"),
    (
        session(Status.LOST, silent_since=SECOND, contact_timeout=5.0, stopped=Stop(0, "a debugger")),
        "lost: silent for 19.0 s, having promised contact every 5 s; stopped by a debugger when last heard of",
    ),
    (
        session(
            Status.CRASHED,
            cause="signal",
            exit={"signal": 9},
            ended_at=10 * SECOND,
            stopped=Stop(8 * SECOND, "a signal"),
        ),
        "crashed: killed by SIGKILL, while stopped by a signal for 2.0 s",
    ),
    (
        session(Status.LOST, silent_since=SECOND, contact_timeout=5.0),
        "lost: silent for 19.0 s, having promised contact every 5 s",
    ),
    (
        session(Status.LOST, hang(), silent_since=SECOND, contact_timeout=5.0),
        (
            "lost: silent for 19.0 s, having promised contact every 5 s; "
            "blocked in Queue.get (worker.py:31): item = q.get() when last heard of"
        ),
    ),
    (session(Status.ENDED, cause="clean"), "ended normally"),
    (
        session(Status.ENDED, ENDED_IN_IT, cause="interrupted", **AT_THE_END),
        "ended, interrupted by SIGINT, while hung for 12.3 s in Queue.get (worker.py:31)",
    ),
    (
        session(
            Status.CRASHED,
            ENDED_IN_IT,
            cause="killed_while_hung",
            exit={"cause": "signal", "signal": 9},
            **AT_THE_END,
        ),
        "crashed: killed by SIGKILL while hung for 12.3 s in Queue.get (worker.py:31)",
    ),
    (session(Status.CRASHED, cause="signal", exit={"signal": 11}), "crashed: killed by SIGSEGV"),
    (session(Status.CRASHED, cause="exit_code", exit={"exit_code": 3}), "crashed: exit code 3"),
    (
        session(
            Status.CRASHED,
            cause="exit_code",
            exit={"exit_code": 1, "stderr": "reading\n\x1b[31mE:\tbad row\x1b[0m \r\n\n"},
        ),
        "crashed: exit code 1; its last words: E: bad row",
    ),
    (
        session(
            Status.CRASHED, cause="exit_code", exit={"exit_code": 1, "said": "bad row", "stderr": "bad row\n"}
        ),
        "crashed: exit code 1: bad row",
    ),
    (
        session(Status.CRASHED, cause="signal", exit={"signal": 6, "stderr": "free(): invalid pointer\n"}),
        "crashed: killed by SIGABRT; its last words: free(): invalid pointer",
    ),
    # Who was killed by others had not come to say why.
    (
        session(Status.CRASHED, cause="signal", exit={"signal": 9, "stderr": "ready\n"}),
        "crashed: killed by SIGKILL",
    ),
    (session(Status.CRASHED, cause="unknown"), "crashed: gone without a word"),
    (
        session(Status.CRASHED, ENDED_IN_IT, cause="oom", exit={}, **AT_THE_END),
        "crashed: killed by the kernel, out of memory, while hung for 12.3 s in Queue.get (worker.py:31)",
    ),
]


@pytest.mark.parametrize(("given", "expected"), CASES, ids=[expected for _, expected in CASES])
def test_a_verdict_is_one_plain_sentence(given, expected):
    assert sentence(given, 20 * SECOND) == expected


@pytest.mark.parametrize(
    ("cause", "details", "expected"),
    [
        ("exception", {}, "exception"),
        ("exception", {"type": 3, "message": ["x"], "traceback": {}}, "3"),
        ("exception", {"type": "E", "message": "first\nsecond"}, "E: first"),
        ("exit_code", {"exit_code": None}, "exit code "),
        ("signal", {"signal": "nine"}, "killed by a signal"),
        ("interpreter_crash", {"signal": 11, "dump": "Current thread 0x1 (most recent call first):\n"
         '  File "/app/a.py", line 7 in boom\n'}, "the interpreter crashed by SIGSEGV, in boom (a.py:7)"),
        ("a word of tomorrow", {}, "a word of tomorrow"),
    ],
)  # fmt: skip
def test_a_crash_has_a_title_whatever_is_known_of_it(cause, details, expected):
    assert crash_title(cause, details) == expected


@pytest.mark.parametrize(
    "printed",
    [
        "\x1b[1;31merror\x1b(B\x1b[m: bad row",  # as tput sgr0 has it
        "\x9b31merror: bad row\x9b0m",
        "\x1b]0;job 7\x07error: \x1b]8;;http://x/7\x1b\\bad row\x1b]8;;\x1b\\",
        "\x1b7error: \x08bad row\x1b8",
    ],
)
def test_last_words_are_without_what_is_for_the_terminal(printed):
    title = crash_title("exit_code", {"exit_code": 1, "stderr": printed})
    assert title == "exit code 1; its last words: error: bad row"
