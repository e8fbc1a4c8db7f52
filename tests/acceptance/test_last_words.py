"""What is said of a program that did not say it itself, by whoever finds its journal."""

import signal
import time
from datetime import datetime

import pytest
from tests.acceptance.programs import NOBODY, run, sessions_of
from tests.acceptance.test_deaths import flush


def left(service, product, code, **variables):
    """Run a program that cannot reach the service, then deliver what it left."""
    begin = f"import datacat, os, signal, sys, time, ctypes, resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nsession = datacat.create_session(product={product!r})\n"
    done = run(begin + code, NOBODY, **variables)
    assert flush(service.url).returncode == 0
    (session,) = sessions_of(service.url, product)
    return session, done


def seconds(moment):
    return datetime.fromisoformat(moment).timestamp()


@pytest.mark.parametrize(
    ("code", "status", "cause"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "crashed", "unknown"),
        ("os.kill(os.getpid(), signal.SIGTERM)", "crashed", "unknown"),
        ("ctypes.string_at(0)", "crashed", "interpreter_crash"),
        ("os.abort()", "crashed", "interpreter_crash"),
        ("os._exit(3)", "crashed", "exit_code"),
        ("os._exit(0)", "ended", "clean"),
        ("sys.exit(3)", "crashed", "exit_code"),
        ("sys.exit(0)", "ended", "clean"),
        ("", "ended", "clean"),
        ("1 / 0", "crashed", "exception"),
        ("raise KeyboardInterrupt", "ended", "interrupted"),
        ("session.end(); os.kill(os.getpid(), signal.SIGKILL)", "ended", "clean"),
        ("os.execv(sys.executable, [sys.executable, '-c', 'pass'])", "crashed", "unknown"),
    ],
)
def test_whoever_delivers_a_journal_says_how_its_program_went(service, journals, code, status, cause):
    session, _ = left(service, "gone", code)
    assert (session["status"], session["cause"]) == (status, cause)
    assert session["lost"] == 0


def test_a_program_that_became_another_is_told_from_one_that_died(service, journals):
    again = "import datacat\nwith datacat.create_session(product='second') as s: s.flush(10)\nimport time; time.sleep(1)"
    code = f"os.execv(sys.executable, [sys.executable, '-c', {again!r}])"
    run(f"import datacat, os, sys\nsession = datacat.create_session(product='first')\n{code}", service.url)
    assert flush(service.url).returncode == 0
    (first,), (second,) = sessions_of(service.url, "first"), sessions_of(service.url, "second")
    assert (first["status"], first["cause"]) == ("ended", "replaced")
    assert second["status"] == "ended"


def test_a_session_that_is_not_to_end_with_its_program_is_not_said_to_have(service, journals):
    code = f"import datacat, os\ndatacat.create_session(product='goes on', end_at_exit=False).flush(0)\nos.kill(os.getpid(), {signal.SIGKILL:d})"
    run(code, NOBODY)
    assert flush(service.url).returncode == 0
    (session,) = sessions_of(service.url, "goes on")
    assert session["status"] == "active"


def test_a_program_that_daemonises_is_two_sessions_and_neither_has_crashed(service, journals):
    code = """
import datacat, os, time
session = datacat.create_session(product="daemon")
if os.fork():
    os._exit(0)
os.setsid()
session.log_event("working")
session.end()
"""
    run(code, service.url)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert flush(service.url).returncode == 0
        found = sessions_of(service.url, "daemon")
        if [each["status"] for each in found] == ["ended", "ended"]:
            break
        time.sleep(0.1)
    parent, child = sorted(found, key=lambda each: each["created_at"])
    assert (parent["status"], parent["cause"]) == ("ended", "clean")
    assert child["parent_session_id"] == parent["id"]
    assert [event["name"] for event in child["events"]] == ["working"]


# That a program is alive is told once a second: the two below live for some of them.


def test_a_program_that_was_killed_while_hung_was_hung_until_then_whatever_it_recorded_last(
    service, journals
):
    code = """
session.start_heartbeat_monitor(timeout=0.2, check_interval=0.1)
session.heartbeat()
time.sleep(3.3)
os.kill(os.getpid(), signal.SIGKILL)
"""
    session, _ = left(service, "hung", code)
    assert session["cause"] == "killed_while_hung"
    (hang,) = (event for event in session["events"] if event["name"] == "application_appears_hung")
    assert seconds(session["ended_at"]) - seconds(hang["timestamp"]) >= 2


def test_a_program_that_was_killed_after_a_quiet_time_lived_until_then(service, journals):
    session, _ = left(service, "quiet", "time.sleep(2.3); os.kill(os.getpid(), signal.SIGKILL)")
    assert (session["cause"], session["events"]) == ("unknown", [])
    assert seconds(session["ended_at"]) - seconds(session["created_at"]) >= 1
