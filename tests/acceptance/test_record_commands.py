"""``datacat event``, ``metric`` and ``state`` in a shell script."""

import os
import subprocess
import sys
import time

import pytest

from datacat.client.api import DatacatClient

DATACAT = f"{sys.executable} -m datacat"


def shell(service, script, **environ):
    return subprocess.run(
        ["/bin/sh", "-ec", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "DATACAT_URL": service.url, **environ},
    )


def test_a_script_records_into_the_session_that_it_names(shared_service):
    client = DatacatClient(shared_service.url)
    session_id = client.register_session("backup")
    disk = '{"disk": {"used": 3}}'
    done = shell(
        shared_service,
        f"{DATACAT} event copied files=12 to=/backup --level warning --message 'not all' --session {session_id}\n"
        f"{DATACAT} metric size -1.5 --unit By --tag disk:a --session {session_id}\n"
        f"{DATACAT} state step=copy disk.free=12 '{disk}' --session {session_id}\n",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    session = client.get_session(session_id)
    (event,) = session["events"]
    assert (event["name"], event["level"], event["message"]) == ("copied", "warning", "not all")
    assert event["data"] == {"files": 12, "to": "/backup"}
    (metric,) = session["metrics"]
    assert (metric["name"], metric["value"], metric["unit"], metric["tags"]) == (
        "size",
        -1.5,
        "By",
        ["disk:a"],
    )
    assert session["state"] == {"step": "copy", "disk": {"free": 12, "used": 3}}


def test_a_session_is_named_by_the_first_digits_of_its_id_too(shared_service):
    client = DatacatClient(shared_service.url)
    session_id = client.register_session("backup")
    done = shell(shared_service, f"{DATACAT} event copied --session {session_id[:18]}")
    assert (done.returncode, done.stderr) == (0, "")
    assert [event["name"] for event in client.get_session(session_id)["events"]] == ["copied"]


@pytest.mark.skipif(sys.platform != "linux", reason="datacat run needs Linux")
def test_within_a_run_it_is_the_session_of_the_run(shared_service, journals):
    done = shell(
        shared_service,
        f"{DATACAT} run --product nightly-{os.getpid()} -- sh -ec '{DATACAT} event copied files=12; exit 3'",
    )
    assert done.returncode == 3, done.stderr
    client = DatacatClient(shared_service.url)
    deadline = time.monotonic() + 20
    while True:
        (line,) = client.get_sessions(product=f"nightly-{os.getpid()}")["sessions"]
        if line["status"] != "active" or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert (line["status"], line["cause"], line["last_event"]) == ("crashed", "exit_code", "copied")


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("event copied", 1, "of which session?"),
        ("event copied files --session x", 2, "expected KEY=VALUE or a JSON object, found 'files'"),
        ("state '{a:1}' --session x", 2, "is not a JSON object"),
        ("event copied --session 00000000-0000-4000-8000-000000000000", 1, "is known at http"),
        ("event copied --session 0000dead", 1, "no session 0000dead is known"),
        ("event copied --level bad --session SESSION", 2, "level"),
        ("metric size nan --session SESSION", 2, "nan is no number that can be kept"),
        ("metric size much --session x", 2, "unable to parse string as a number"),
        ("state --session x", 2, "say what is to be merged"),
        ("state a=1 a.b=2 --session x", 2, "leads through a"),
    ],
)
def test_what_cannot_be_recorded_is_told(shared_service, command, code, told):
    session_id = DatacatClient(shared_service.url).register_session("backup")
    done = shell(shared_service, f"{DATACAT} {command.replace('SESSION', session_id)}", DATACAT_RUN="")
    assert done.returncode == code
    assert told in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr
