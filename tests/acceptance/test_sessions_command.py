"""``datacat sessions`` as a person, and a script, meets it."""

import json
import os
import subprocess
import sys
import time
import uuid

import pytest
from tests.forks import run_datacat

from datacat.client.api import DatacatClient


@pytest.fixture
def product(shared_service):
    """Three sessions: one crashed, one ended, one active."""
    name = f"product-{uuid.uuid4()}"
    client = DatacatClient(shared_service.url)
    ids = [client.register_session(name, f"1.{n}") for n in range(3)]
    line = json.dumps(
        {"seq": 1, "time": 1_732_363_200_000_000, "type": "exit", "cause": "signal", "data": {"signal": 9}}
    )
    client._pool.request(
        "POST",
        f"{shared_service.url}/api/sessions/{ids[0]}/records",
        body=line,
        headers={"Datacat-Origin": "parent"},
    )
    client.log_event(ids[1], "saved \x1b[2J [red]")
    client.end_session(ids[1])
    return name


def sessions(service, *arguments):
    return run_datacat("sessions", *arguments, environ={**os.environ, "DATACAT_URL": service.url})


def test_sessions_are_a_line_each_newest_first_with_their_verdicts(shared_service, product):
    done = sessions(shared_service, "--product", product)
    assert done.returncode == 0, done.stderr
    *lines, summary = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["active", "ended", "crashed"]
    assert f"{product} 1.0" in lines[2]
    assert "killed by SIGKILL" in lines[2]
    assert "saved �[2J [red]" in lines[1]
    assert "\x1b" not in done.stdout
    assert summary == "3 shown; in all 1 active, 1 ended, 1 crashed"


def test_as_json_each_line_is_a_session(shared_service, product):
    done = sessions(shared_service, "--product", product, "--status", "crashed,hung", "--json")
    (found,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (found["status"], found["version"]) == ("crashed", "1.0")


def test_a_limit_says_that_there_is_more(shared_service, product):
    done = sessions(shared_service, "--product", product, "--limit", "2", "--since", "1h")
    assert len(done.stdout.splitlines()) == 3
    assert "2 shown; in all" in done.stdout
    assert "--limit shows more" in done.stdout


def test_where_there_are_none_it_says_so(shared_service):
    done = sessions(shared_service, "--product", "no-such-product")
    assert (done.returncode, done.stdout) == (0, "no sessions\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--url", "http://127.0.0.1:1"], "http://127.0.0.1:1 does not answer"),
    ],
)
def test_what_cannot_be_answered_is_told_and_leaves_with_1(shared_service, arguments, told):
    done = sessions(shared_service, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--since", "2024-11-23 12:00:00"], "no moment: write how long ago"),
        (["--until", "yesterday"], "--until"),
        (["--url", "localhost:8080"], "url must begin with http:// or https://"),
        (
            ["--sort", "best"],
            "Invalid value for '--sort': 'best' is not one of 'newest', 'oldest', 'ended', 'longest', 'hung'",
        ),
    ],
)
def test_what_is_written_wrong_is_refused_by_its_option_before_anything_is_asked(
    shared_service, arguments, told
):
    done = sessions(shared_service, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--status", "dead"], "status is one of active, hung, ended, crashed, lost"),
        (["--state", "step"], "state is written PATH=VALUE"),
        (["--text", '"'], "text has no word to look for"),
    ],
)
def test_what_the_service_refuses_of_what_was_typed_leaves_with_2(shared_service, arguments, told):
    done = sessions(shared_service, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_names_between_colons_are_printed_as_they_were_recorded(shared_service):
    product = f":smile:{uuid.uuid4()}"
    client = DatacatClient(shared_service.url)
    session_id = client.register_session(product)
    client.log_event(session_id, ":cat:")
    listed = sessions(shared_service, "--product", product)
    assert product in listed.stdout
    assert "last event: :cat:" in listed.stdout
    shown = run_datacat("show", session_id, environ={**os.environ, "DATACAT_URL": shared_service.url})
    assert product in shown.stdout
    assert ":cat:" in shown.stdout


def test_what_the_output_has_no_letters_for_does_not_end_the_command(shared_service):
    product = f"東京-{uuid.uuid4()}"
    session_id = DatacatClient(shared_service.url).register_session(product)
    command = [sys.executable, "-m", "datacat", "show", session_id, "--url", shared_service.url]
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shown = subprocess.run(command, capture_output=True, text=True, env=environ, check=True).stdout
    assert product.replace("東京", "??") in shown


def test_a_moment_that_was_printed_can_be_asked_for(shared_service):
    product = f"product-{uuid.uuid4()}"
    DatacatClient(shared_service.url).register_session(product)
    words = sessions(shared_service, "--product", product).stdout.split()
    printed = f"{words[1]} {words[2]}"
    assert product in sessions(shared_service, "--product", product, "--since", printed).stdout
    assert product not in sessions(shared_service, "--product", product, "--until", printed).stdout


def test_what_is_counted_beside_what_is_shown_is_said(shared_service):
    product = f"product-{uuid.uuid4()}"
    DatacatClient(shared_service.url).register_session(product)
    last = sessions(shared_service, "--product", product, "--tag", "none").stdout.splitlines()[-1]
    assert last == "0 shown; whatever else is asked, there are 1 active"


def test_programs_and_verdicts_stand_below_each_other(shared_service):
    tag = f"tag-{uuid.uuid4()}"
    for product in ("ab", "a longer name"):
        DatacatClient(shared_service.url).register_session(product, tags=[tag])
    first, second = sessions(shared_service, "--tag", tag).stdout.splitlines()[:2]
    assert first.index("running") == second.index("running")


def test_a_session_that_runs_lasts_until_now_however_quiet_it_is(shared_service):
    client = DatacatClient(shared_service.url)
    product, session_id = f"quiet-{uuid.uuid4()}", uuid.uuid4()
    began = time.time_ns() // 1_000 - 3_700 * 1_000_000
    line = json.dumps({"seq": 1, "time": began, "type": "start", "product": product})
    client._pool.request("POST", f"{shared_service.url}/api/sessions/{session_id}/records", body=line)
    assert "1 h 1 min   running" in sessions(shared_service, "--product", product).stdout
