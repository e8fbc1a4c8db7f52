import threading
import time

import pytest
from tests.unit.client.test_heartbeat import running, stuck_here, turning_here

from datacat.client.evidence import Evidence, native_id


def for_a_while():
    time.sleep(0.3)  # the processor's own time passes


@pytest.mark.parametrize(("where", "kind"), [(stuck_here, "blocked"), (turning_here, "spinning")])
def test_a_thread_that_only_one_late_look_finds_silent_is_judged_by_the_look_before(where, kind):
    evidence = Evidence()
    with running(where) as thread:
        evidence.look(thread.ident)
        for_a_while()
        evidence.look(thread.ident)
        assert evidence.describe(now=10, silent_for=5, thread=thread.ident)["kind"] == kind


def test_of_a_thread_that_is_not_of_the_standard_library_nothing_is_expected(monkeypatch):
    class Green:
        ident = 1

    monkeypatch.setattr(threading, "enumerate", lambda: [Green()])
    assert native_id(1) == 0


def test_what_another_thread_worked_says_nothing_of_the_silent_one():
    evidence = Evidence()
    with running(turning_here) as other, running(stuck_here) as thread:
        evidence.look(other.ident)
        for_a_while()
        evidence.look(thread.ident)
        data = evidence.describe(now=10, silent_for=5, thread=thread.ident)
    assert (data["kind"], data["cpu_seconds"], data["watched_seconds"]) == ("unknown", None, None)
    assert threading.main_thread().name in {stack["thread"] for stack in data["stacks"]}
