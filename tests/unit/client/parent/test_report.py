import resource
import signal

import msgspec
import pytest

from datacat.client.parent.report import exit_record

USAGE = resource.struct_rusage((1.5, 0.25, 2048, 0, 0, 0, 10, 3, 0, 0, 0, 0, 0, 0, 7, 5))


def report(status, **known):
    record = exit_record(5, status, USAGE, wall_seconds=2.04, **known)
    return record, msgspec.json.decode(record.data)


@pytest.mark.parametrize(
    ("status", "cause", "known"),
    [
        (0, "clean", {"exit_code": 0}),
        (3 << 8, "exit_code", {"exit_code": 3}),
        (9, "signal", {"signal": 9, "signal_name": "SIGKILL", "core_dumped": False}),
        (6 | 0x80, "signal", {"signal": 6, "signal_name": "SIGABRT", "core_dumped": True}),
        (2, "interrupted", {"signal": 2, "signal_name": "SIGINT", "core_dumped": False}),
    ],
)
def test_a_wait_status_is_told_in_words(status, cause, known):
    record, data = report(status)
    assert record.cause == cause
    assert {key: data[key] for key in known} == known
    assert record.message is not None
    assert record.message.endswith("after 2.0 s")


def test_a_kill_is_for_want_of_memory_when_the_kernel_counted_one():
    assert report(signal.SIGKILL, out_of_memory=True)[0].cause == "oom"
    assert report(signal.SIGTERM, out_of_memory=True)[0].cause == "signal"
    assert report(0, out_of_memory=True)[0].cause == "clean"


def test_what_was_used_and_printed_is_told_with_its_units():
    record, data = report(0, stderr="no space left")
    assert record.time == 5
    assert data["stderr"] == "no space left"
    assert data["wall_seconds"] == 2.04
    assert data["resource_usage"] == {
        "max_rss_bytes": 2048 * 1024,
        "user_seconds": 1.5,
        "system_seconds": 0.25,
        "major_page_faults": 3,
        "minor_page_faults": 10,
        "voluntary_context_switches": 7,
        "involuntary_context_switches": 5,
    }


def test_a_stderr_that_was_left_alone_is_not_said_to_be_empty():
    assert "stderr" not in report(0)[1]


def test_memory_that_may_have_been_the_parents_is_not_told():
    assert "max_rss_bytes" not in report(0, least_rss_bytes=2048 * 1024)[1]["resource_usage"]
