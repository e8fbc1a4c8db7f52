import sys
from pathlib import Path

import pytest

from datacat.client import children
from datacat.client.pulse import Pulse
from datacat.client.watchdog_launch import Watchdog

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is open is counted in /proc")


def files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_watchdog_that_cannot_be_started_says_so_and_leaves_no_file_open(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    complaints: list[str] = []

    def fail():
        watchdog = Watchdog(Pulse(shared=True), {}, complaints.append)
        watchdog.start()
        assert watchdog.wait(30)
        watchdog.release()

    fail()  # the process's memory for stacks stays
    before = files()
    fail()
    assert files() == before
    assert len(complaints) == 2
    assert all("/nonexistent/python" in each for each in complaints)


def test_where_gevent_starts_processes_the_reason_says_so(monkeypatch):
    monkeypatch.setattr(children, "Popen", type("Popen", (), {"__module__": "gevent.subprocess"}))
    complaints: list[str] = []
    watchdog = Watchdog(Pulse(shared=True), {}, complaints.append)
    watchdog.start()
    assert watchdog.wait(30)
    watchdog.release()
    (complaint,) = complaints
    assert "gevent.subprocess.Popen" in complaint
