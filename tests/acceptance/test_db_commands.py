"""``datacat db``, as whoever runs the service meets it."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest
from tests.forks import run_datacat
from typer.testing import CliRunner

from datacat.cli.app import app
from datacat.client.api import DatacatClient
from datacat.store.sqlite import copies
from datacat.store.sqlite.connect import connect


def db(*arguments, **environ):
    without = {key: value for key, value in os.environ.items() if not key.startswith("DATACAT_")}
    return run_datacat("db", *arguments, environ=without | environ)


def record(service, product="editor"):
    client = DatacatClient(service.url)
    session_id = client.register_session(product, "1.0")
    client.log_event(session_id, "saved", {"path": "a.txt"})
    return session_id


def test_a_database_in_service_is_checked_backed_up_and_restored(service, tmp_path):
    first = record(service)
    assert db("check", "--database", service.database).returncode == 0
    done = db("backup", tmp_path / "b.db", "--database", service.database)
    assert (done.returncode, done.stderr) == (0, "")
    second = record(service)

    refused = db("restore", tmp_path / "b.db", "--database", service.database)
    assert refused.returncode == 1
    assert "stop the service" in refused.stderr
    assert DatacatClient(service.url).get_session(second)["id"] == second

    service.stop()
    restored = json.loads(db("restore", tmp_path / "b.db", "--database", service.database, "--json").stdout)
    service.start()
    found = DatacatClient(service.url).get_all_sessions()
    assert [each["id"] for each in found] == [first]
    kept = json.loads(db("stats", "--json", "--database", restored["kept"]).stdout)
    assert kept["rows"]["sessions"] == 2


def test_a_backup_that_is_told_to_stop_leaves_nothing_unfinished(tmp_path, monkeypatch):
    connect(tmp_path / "a.db").close()

    def stopped(*_, **__):
        assert list(tmp_path.glob(".*.unfinished"))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(copies, "damage", stopped)
    done = CliRunner().invoke(
        app, ["db", "backup", str(tmp_path / "b.db"), "--database", str(tmp_path / "a.db")]
    )
    assert done.exit_code == 128 + signal.SIGTERM
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


def test_the_database_of_a_killed_service_loses_nothing_by_a_restore_that_is_undone(service, tmp_path):
    record(service)
    db("backup", tmp_path / "b.db", "--database", service.database)
    record(service)
    service.kill()
    kept = json.loads(db("restore", tmp_path / "b.db", "--database", service.database, "--json").stdout)[
        "kept"
    ]
    assert db("restore", kept, "--database", service.database, "--force").returncode == 0
    service.start()
    assert len(DatacatClient(service.url).get_all_sessions()) == 2


def test_stats_say_what_is_in_it_while_the_service_runs(service):
    record(service)
    record(service, "[red]worker")
    done = db("stats", "--database", service.database)
    assert done.returncode == 0
    for said in ("sessions 2: 2 active", "2 events", "editor", "[red]worker", "event_named"):
        assert said in done.stdout
    assert "\x1b" not in done.stdout
    found = json.loads(db("stats", "--json", "--database", service.database).stdout)
    assert found["sessions"]["active"] == 2
    assert found["oldest"].endswith("Z")


def test_vacuum_runs_beside_the_service(service):
    record(service)
    done = db("vacuum", "--json", "--database", service.database)
    assert done.returncode == 0
    assert json.loads(done.stdout)["whole"] is False


def test_sums_are_made_anew_beside_the_service(service):
    record(service)
    done = db("recount", "--json", "--database", service.database)
    assert done.returncode == 0
    assert json.loads(done.stdout)["session_sums"] > 0
    record(service)
    assert db("check", "--database", service.database).returncode == 0


@pytest.mark.parametrize("command", [["check"], ["backup", "b.db"], ["vacuum"], ["recount"], ["stats"]])
def test_where_there_is_no_database_none_is_made(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = db(*command)
    assert done.returncode == 1
    assert "there is no database at datacat.db" in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_database_is_that_of_the_services_settings(service, tmp_path):
    service.stop()
    config = tmp_path / "datacat.toml"
    config.write_text(f"database = {json.dumps(str(service.database))}\n")
    assert db("check", "--config", config).returncode == 0
    assert db("check", DATACAT_DATABASE=str(service.database)).returncode == 0
    wrong = db("check", "--config", config, DATACAT_PORT="http")
    assert wrong.returncode == 1
    assert "port from the environment is 'http'" in wrong.stderr


def test_a_script_reads_what_is_wrong_from_json_and_the_exit_code(tmp_path):
    (tmp_path / "notes.db").write_text("my notes " * 500)
    done = db("check", "--json", "--database", tmp_path / "notes.db")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (1, False)
    assert set(found["faults"][0]) == {"what", "cure"}
    assert db("check", "--nonsense").returncode == 2


def test_on_a_terminal_there_is_a_bar_and_colour_unless_it_is_not_wanted(service):
    record(service)

    def seen(**environ):
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "datacat", "db", "check", "--database", str(service.database)],
            stdout=follower,
            stderr=follower,
            env={**os.environ, "TERM": "xterm", **environ},
        )
        os.close(follower)
        text = b""
        try:
            while chunk := os.read(leader, 4096):
                text += chunk
        except OSError:  # its end has no other sign on Linux
            pass
        os.close(leader)
        assert process.wait(30) == 0
        return text.decode()

    assert "━━━" in seen()
    assert "\x1b[32m" in seen()
    assert "\x1b[32m" not in seen(NO_COLOR="1")
