import signal

import pytest

from datacat.client.death import Signs, verdict
from datacat.model import causes


@pytest.mark.parametrize(
    ("signs", "cause", "message"),
    [
        (Signs(), causes.UNKNOWN, "nobody saw how"),
        (Signs(0), causes.CLEAN, "exit code 0"),
        (Signs(3 << 8), causes.EXIT_CODE, "exit code 3"),
        (Signs(signal.SIGKILL), causes.SIGNAL, "SIGKILL"),
        (Signs(signal.SIGTERM), causes.SIGNAL, "SIGTERM"),
        (Signs(signal.SIGINT), causes.INTERRUPTED, "keyboard"),
        (Signs(signal.SIGKILL, out_of_memory=True), causes.OUT_OF_MEMORY, "memory"),
        (Signs(signal.SIGTERM, out_of_memory=True), causes.SIGNAL, "SIGTERM"),
        (Signs(None, "Fatal Python error: Aborted\n"), causes.INTERPRETER_CRASH, "Aborted"),
        (Signs(signal.SIGSEGV, "Fatal Python error: Segmentation fault\n"), causes.INTERPRETER_CRASH, "Segm"),
    ],
)
def test_the_verdict_is_the_one_that_says_most(signs, cause, message):
    found = verdict(signs)
    assert found.cause == cause
    assert message in found.message


def test_a_core_dump_is_told():
    assert verdict(Signs(signal.SIGSEGV | 0x80)).data == {
        "signal": 11,
        "signal_name": "SIGSEGV",
        "core_dumped": True,
    }


def test_what_the_interpreter_wrote_stands_beside_what_the_system_says():
    data = verdict(Signs(signal.SIGABRT, "Fatal Python error: Aborted\n\nCurrent thread …")).data
    assert data["signal"] == signal.SIGABRT
    assert data["dump"].startswith("Fatal Python error")
