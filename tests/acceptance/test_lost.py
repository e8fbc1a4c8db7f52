"""Nobody is left who could say it: the server's own verdict."""

import os
import signal
import sys
import time

from tests.acceptance.faults import FaultyProxy
from tests.acceptance.programs import sessions_of
from tests.acceptance.test_verdicts import popen, wait_for, watchdogs

from datacat.client.api import DatacatClient

PROGRAM = """
import datacat, sys, time
session = datacat.create_session(product="promised", contact_timeout=1.5, watchdog=sys.argv[1] == "watched")
if sys.argv[1] == "watched":
    session._watchdog.wait(30)
for n in range(10_000):
    session.log_event("tick", {"n": n})
    time.sleep(float(sys.argv[2]))
"""


def start(url, monkeypatch, *arguments):
    monkeypatch.setenv("DATACAT_URL", url)
    return popen([sys.executable, "-c", PROGRAM, *arguments])


def test_when_program_and_watchdog_go_together_the_session_is_lost(service, journals, monkeypatch):
    program = start(service.url, monkeypatch, "watched", "0.05")
    wait_for(service.url, "promised", 1, lambda session: session["events"])
    for pid in [*watchdogs(), program.pid]:
        os.kill(int(pid), signal.SIGSTOP)  # so that neither sees the other go
    for pid in [*watchdogs(), program.pid]:
        os.kill(int(pid), signal.SIGKILL)
    program.wait()
    (session,) = wait_for(service.url, "promised", 1, lambda session: session["status"] == "lost")
    lost = [event for event in session["events"] if event["name"] == "contact_lost"]
    assert [event["data"]["promised"] for event in lost] == [1.5]
    assert 1.5 <= lost[0]["data"]["silent_seconds"] < 6


def test_a_program_that_has_nothing_to_record_keeps_its_promise(service, journals, monkeypatch):
    program = start(service.url, monkeypatch, "alone", "1000")
    wait_for(service.url, "promised", 1, lambda session: session["events"])
    time.sleep(4)
    (session,) = sessions_of(service.url, "promised")
    program.kill()
    program.wait()
    assert session["status"] == "active"


def test_a_program_that_is_stopped_is_not_lost_while_its_watchdog_is_there(service, journals, monkeypatch):
    program = start(service.url, monkeypatch, "watched", "0.05")
    wait_for(service.url, "promised", 1, lambda session: session["events"])
    os.kill(program.pid, signal.SIGSTOP)
    time.sleep(4)
    (session,) = sessions_of(service.url, "promised")
    verdict = DatacatClient(service.url).get_dossier(session["id"])["verdict"]
    os.kill(program.pid, signal.SIGKILL)
    program.wait()
    assert session["status"] == "active"
    assert verdict["sentence"].startswith("stopped by a signal for ")


def test_a_network_cut_for_longer_than_promised_is_a_loss_and_then_none_with_no_record_missing(
    service, journals, monkeypatch
):
    proxy = FaultyProxy(service.port, [])
    program = start(proxy.url, monkeypatch, "alone", "0.05")
    wait_for(service.url, "promised", 1, lambda session: session["events"])
    proxy.cut()
    wait_for(service.url, "promised", 1, lambda session: session["status"] == "lost")
    proxy.mend()
    wait_for(service.url, "promised", 1, lambda session: len(session["events"]) > 40)
    program.kill()
    program.wait()
    proxy.close()
    (session,) = sessions_of(service.url, "promised")
    ticks = [event["data"]["n"] for event in session["events"] if event["name"] == "tick"]
    assert ticks == list(range(len(ticks)))
    assert (session["status"], session["lost"]) == ("active", 0)


def test_a_server_that_was_down_itself_calls_nobody_lost(service, journals, monkeypatch):
    program = start(service.url, monkeypatch, "alone", "0.05")
    wait_for(service.url, "promised", 1, lambda session: session["events"])
    service.kill()
    time.sleep(2.5)
    service.start()
    wait_for(service.url, "promised", 1, lambda session: len(session["events"]) > 60)
    program.kill()
    program.wait()
    (session,) = sessions_of(service.url, "promised")
    assert "contact_lost" not in [event["name"] for event in session["events"]]
