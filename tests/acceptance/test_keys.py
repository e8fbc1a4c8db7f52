"""A program and a service that asks for keys."""

import os
import time

import pytest
from tests.acceptance.programs import NOBODY, run
from tests.api.test_keys import make
from tests.forks import run_datacat

import datacat
from datacat.client.api import DatacatClient
from datacat.model.errors import RequestFailed


def test_a_program_shows_its_key_and_one_without_loses_nothing(service, journals, monkeypatch):
    _, key = make(service.database, "ci", "ingest", "read")
    without = datacat.create_session(service.url, product="editor", capture_exceptions=False)
    without.log_event("saved")
    deadline = time.monotonic() + 30
    while not without.stats.last_error:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not without.flush(timeout=1)
    assert "401" in str(without.stats.last_error)
    without.end()
    client = DatacatClient(service.url, key=key)
    with pytest.raises(RequestFailed, match="no session"):
        client.get_session(without.session_id)
    # The next program has a key, and brings what the first one left.
    monkeypatch.setenv("DATACAT_KEY", key)
    with datacat.create_session(service.url, product="editor", capture_exceptions=False) as session:
        session.log_event("loaded")
        assert session.flush(timeout=10)
        assert session.get_details()["events"][0]["name"] == "loaded"


def test_a_key_that_cannot_be_one_is_refused_where_it_is_set():
    with pytest.raises(ValueError, match="datacat keys create"):
        datacat.create_session("http://localhost:1", key="two words")


@pytest.mark.parametrize(
    "command",
    [
        ("sessions",),
        ("show", "01934f5e"),
        ("tail",),
        ("event", "saved", "--session", "01934f5e"),
        ("flush", "--journal-dir", "."),
        ("run", "--", "true"),
        ("grafana", "provision", "grafana"),
    ],
)
def test_a_command_tells_in_a_line_that_its_key_cannot_be_one(tmp_path, command):
    done = run_datacat(*command, cwd=tmp_path, environ={**os.environ, "DATACAT_KEY": "ключ"})
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "DATACAT_KEY" in line
    assert "datacat keys create" in line
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_shown_to_its_own_server_alone():
    from datacat.client.transport import transports

    to_server = transports("http://a.example/", "secret")
    assert to_server("http://a.example", "app")._key == "secret"
    assert to_server("http://b.example", "app")._key is None


def test_a_flush_delivers_what_its_key_is_good_for_and_keeps_the_rest(service, journals, monkeypatch):
    for product in ("player", "editor", "player"):
        assert (
            run(
                f"import datacat\ndatacat.create_session(product='{product}').log_event('e')", NOBODY
            ).returncode
            == 0
        )
    _, key = make(service.database, "ci", "ingest", "read", product="editor")
    monkeypatch.setenv("DATACAT_KEY", key)
    done = run_datacat("flush", "--url", service.url)
    assert done.returncode == 1
    assert "delivered 3 records of 1 program" in done.stdout
    assert "2 journals kept" in done.stdout
    assert done.stdout.count("403") == 1
    (session,) = DatacatClient(service.url, key=key).get_all_sessions()
    assert session["product"] == "editor"
    assert len(list(journals.glob("*/*.log"))) == 2
