"""``--json`` and colour: what scripts read from commands."""

import json
import os

from tests.acceptance.programs import run
from tests.forks import run_datacat

from datacat.client.api import DatacatClient


def datacat(*arguments, **environ):
    return run_datacat(*arguments, environ=os.environ | environ)


def test_flush_says_what_it_delivered(service, tmp_path):
    code = "import datacat\ns = datacat.create_session(exit_timeout=0)\ns.log_event('saved', {})\n"
    run(code, "http://127.0.0.1:9", DATACAT_JOURNAL_DIR=str(tmp_path))
    kept = datacat("flush", "--json", "--journal-dir", tmp_path)
    assert (kept.returncode, json.loads(kept.stdout)["kept"]) == (1, 1)
    assert "http://127.0.0.1:9" in kept.stderr
    done = datacat("flush", "--json", "--journal-dir", tmp_path, "--url", service.url)
    found = json.loads(done.stdout)
    assert (done.returncode, found["sessions"], found["kept"], found["strange"]) == (0, 1, 0, 0)
    assert found["records"] >= 2


def test_grafana_provision_says_what_it_wrote(tmp_path):
    done = datacat("grafana", "provision", tmp_path / "p", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["files"]
    assert all((tmp_path / "p" / name).is_file() for name in found["files"])


def test_what_asks_the_service_prints_its_json(service):
    session_id = DatacatClient(service.url).register_session("editor")
    assert (
        json.loads(datacat("show", session_id, "--json", "--url", service.url).stdout)["session"]["id"]
        == session_id
    )
    assert json.loads(datacat("sessions", "--json", "--url", service.url).stdout)["id"] == session_id


def test_in_a_pipe_there_is_no_colour(service, tmp_path):
    session_id = DatacatClient(service.url).register_session("editor")
    for command in (
        ["show", session_id, "--url", service.url],
        ["sessions", "--url", service.url],
        ["show", "ffff", "--url", service.url],
        ["flush", "--journal-dir", tmp_path],
        ["serve", "--host", "0.0.0.0"],
    ):
        done = datacat(*command)
        assert done.stdout + done.stderr
        assert "\x1b" not in done.stdout + done.stderr, command
