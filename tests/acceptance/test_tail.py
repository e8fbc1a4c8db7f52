"""``datacat tail`` as a person meets it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from contextlib import contextmanager

import pytest
import urllib3

from datacat.client.api import DatacatClient


class Tail:
    """The command, running."""

    def __init__(self, service, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "datacat", "tail", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "DATACAT_URL": service.url, "COLUMNS": "80"},
        )

    def line(self):
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def complaint(self):
        assert self.process.stderr is not None
        return self.process.stderr.readline().rstrip("\n")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        _, complaint = self.process.communicate(timeout=20)
        return self.process.returncode, complaint


@contextmanager
def tail(service, *arguments):
    running = Tail(service, *arguments)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.communicate()


def without_moment(line):
    # Around midnight a row is of yesterday, and says so.
    words = re.fullmatch(r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\.\d{3}Z (.*)", line)
    assert words, line
    return words[1]


def test_tail_of_a_session_shows_its_last_rows_and_then_what_happens(shared_service):
    client = DatacatClient(shared_service.url)
    session_id = client.register_session("editor", "2.3.1")
    for n in range(12):
        client.log_event(session_id, f"e{n}")
    with tail(shared_service, session_id[:18]) as running:
        assert without_moment(running.line()) == "session  active  running"
        assert [without_moment(running.line()) for _ in range(10)] == [f"event    e{n}" for n in range(2, 12)]
        client.log_metric(session_id, "fps", 60)
        client.update_state(session_id, {"window": {"open": ["w1"]}})
        client.log_event(session_id, "saved", {"path": "a.txt"}, message="to \x1b[2J [red]disk")
        client.log_event(session_id, "application_appears_hung", level="error")
        assert [without_moment(running.line()) for _ in range(4)] == [
            'state    + {"window":{"open":["w1"]}}',
            'event    saved  to �[2J [red]disk {"path":"a.txt"}',
            "event    application_appears_hung",
            "problem  hang  hung, no stacks known",
        ]
        assert without_moment(running.line()).startswith("session  hung  hung for ")
        client.end_session(session_id)
        assert without_moment(running.line()).startswith("problem  over: hang  hung, no stacks known  (")
        assert without_moment(running.line()).startswith("session  ended  ended normally, ")
        assert running.interrupt() == (0, "")


def test_tail_of_all_says_whose_it_is_and_keeps_to_what_is_asked(service):
    client = DatacatClient(service.url)
    client.register_session("other")
    with tail(
        service, "--product", "editor", "--kind", "event,metric,session", "--level", "error"
    ) as running:
        # Whether it listens yet cannot be seen from here: the first line tells.
        listening = threading.Event()

        def begin():
            while not listening.wait(0.1):
                client.register_session("editor", "2.3.1")

        beginning = threading.Thread(target=begin)
        beginning.start()
        line = running.line()
        listening.set()
        beginning.join()
        assert without_moment(line).startswith("session  editor 2.3.1  active  running  ")
        session_id = client.register_session("editor", "2.4")
        client.log_event(session_id, "fine")
        client.log_metric(session_id, "fps", 59.8, ["scene:menu"], unit="Hz")
        client.log_event(session_id, "bad", level="error")
        while "2.4" not in (line := running.line()):
            pass
        short = session_id[:18]
        assert without_moment(running.line()) == f"metric   editor 2.4  fps  59.8 Hz  scene:menu  {short}"
        assert without_moment(running.line()) == f"event    editor 2.4  bad  {short}"
        assert running.interrupt() == (0, "")


def test_tail_as_json_goes_on_after_the_service_was_away_and_says_so(service):
    client = DatacatClient(service.url)
    session_id = client.register_session("editor")
    with tail(service, session_id, "--json", "--kind", "event") as running:
        client.log_event(session_id, "one")
        one = json.loads(running.line())
        assert (one["kind"], one["data"]["name"], one["id"]) == ("event", "one", "e1.m0.c0.p0")
        service.kill()
        assert "trying again" in running.complaint()
        service.start()
        client.log_event(session_id, "two")
        assert running.complaint() == "connected again"
        assert json.loads(running.line())["data"]["name"] == "two"
        assert running.interrupt() == (0, "")


def test_tail_of_a_session_that_is_removed_says_so_and_ends(service):
    session_id = DatacatClient(service.url).register_session("editor")
    with tail(service, session_id) as running:
        assert "active" in running.line()
        assert urllib3.request("DELETE", f"{service.url}/api/sessions/{session_id}").status == 200
        assert "the session was removed" in running.complaint()
        assert running.process.wait(30) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        ([str(uuid.uuid4())], 1, "is known at"),
        (["--kind", "strange"], 2, "kind is one of session, event"),
        (["--problems", "01934f5e"], 2, "leave out the ID"),
        (["01934f5e", "--product", "editor"], 2, "leave out --product"),
        (["--problems", "--kind", "event"], 2, "leave out --kind and --level"),
        (["--problems", "--level", "error"], 2, "leave out --kind and --level"),
    ],
)
def test_what_cannot_be_followed_is_told_with_the_cure(shared_service, arguments, code, complaint):
    done = subprocess.run(
        [sys.executable, "-m", "datacat", "tail", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "DATACAT_URL": shared_service.url, "COLUMNS": "200"},
    )
    assert done.returncode == code
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
