"""The command line as a person meets it."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from datacat import create_session
from datacat.version import __version__

ROOT = Path(__file__).parents[2]


def datacat(*arguments, **options):
    command = [sys.executable, "-m", "datacat", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, cwd=ROOT, check=False, **options
    )


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_the_demo_shows_a_hang_with_its_line_and_says_what_became_of_each_program(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = datacat("demo", "--port", str(free_port()))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"MainThread stood in wait_for_a_reply \(worker.py:\d+\): time.sleep", done.stdout)
    assert "application_recovered" in done.stdout
    after = done.stdout.partition("What became of them")[2]
    assert "crashed: killed by SIGKILL; its last words: Something is wrong here" in after, done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "--stay keeps it" in after
    assert "http" not in after, "its service has ended"


def test_whoever_ends_the_demo_ends_all_of_it():
    port = free_port()
    command = [sys.executable, "-m", "datacat", "demo", "--port", str(port), "--stay"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        while "records on" not in (line := demo.stdout.readline()):
            assert line, "the demo did not begin"
        demo.terminate()
        assert "nothing is left running" in demo.stdout.read()
        assert demo.wait(30) == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_demo_tells_a_taken_port_with_the_cure(taken_port):
    done = datacat("demo", "--port", str(taken_port))
    assert done.returncode == 1
    assert f"port {taken_port} is taken" in done.stdout
    assert f"make demo PORT={taken_port + 1}" in done.stdout


def test_serve_tells_a_taken_port_with_the_cure(taken_port, tmp_path):
    done = datacat("serve", "--port", str(taken_port), "--database", str(tmp_path / "a.db"))
    assert done.returncode == 1
    assert f"--port {taken_port + 1}" in done.stderr


def test_serve_refuses_another_address_than_loopback(tmp_path):
    done = datacat("serve", "--host", "0.0.0.0", "--database", str(tmp_path / "a.db"))
    assert done.returncode == 1
    assert "--insecure-no-auth" in done.stderr
    assert not list(tmp_path.iterdir())


def test_serve_refuses_a_file_that_is_no_database_and_leaves_it(tmp_path):
    file = tmp_path / "notes.db"
    file.write_text("my notes " * 500)
    done = datacat("serve", "--port", "0", "--database", str(file))
    assert done.returncode == 1
    assert "no database" in done.stderr
    assert "Traceback" not in done.stderr
    assert file.read_text() == "my notes " * 500


def test_serve_says_that_a_directory_is_no_database(tmp_path):
    done = datacat("serve", "--port", "0", "--database", str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path} is a directory: name a file, such as {tmp_path}/datacat.db" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://", "http://localhost:-1", "http://[::1"])
@pytest.mark.parametrize("command", [("sessions",), ("run", "--", "true")])
def test_a_url_that_names_no_host_or_port_is_refused_before_anything_is_asked_or_run(url, command):
    done = datacat(command[0], "--url", url, *command[1:], env={"COLUMNS": "200"})
    assert done.returncode == 2
    assert "url names no host, or no port up to 65535" in done.stderr


def test_a_program_whose_server_can_be_none_is_told_so_where_it_says_it():
    with pytest.raises(ValueError, match="no port up to 65535, found 'http://localhost:99999'"):
        create_session("http://localhost:99999")


@pytest.mark.parametrize("command", [("show",), ("tail",), ("event", "saved", "--session")])
@pytest.mark.parametrize("session_id", ["../x", ".."])
def test_an_id_that_would_be_another_path_is_refused_before_anything_is_asked(command, session_id):
    done = datacat(*command, session_id, "--url", f"http://127.0.0.1:{free_port()}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"datacat: id is no session's, found '{session_id}'")


def test_every_setting_is_an_option_of_serve():
    from datacat.server.settings import Settings

    shown = datacat("serve", "--help", env={"COLUMNS": "200", "PATH": ""}).stdout
    for name in Settings.__struct_fields__:
        assert f"--{name.replace('_', '-')}" in shown


def test_the_version_is_told():
    told = datacat("--version")
    assert (told.returncode, told.stdout) == (0, f"datacat {__version__}\n")


def test_a_service_that_does_not_run_is_told_with_the_cure():
    told = datacat("sessions", "--url", f"http://127.0.0.1:{free_port()}")
    assert told.returncode == 1
    assert "Connection refused. Does the service run there? datacat doctor looks" in told.stderr


def test_a_key_in_a_database_that_was_not_there_is_told_to_be_of_no_use_elsewhere(tmp_path):
    arguments = ("keys", "create", "ci", "--database", str(tmp_path / "datacat.db"))
    first, second = datacat(*arguments), datacat(*arguments)
    assert (first.returncode, second.returncode) == (0, 0)
    assert f"There was no database {tmp_path / 'datacat.db'}: it is made" in first.stderr
    assert "There was no database" not in second.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a file that is always full")
@pytest.mark.parametrize("command", [("sessions", "--help"), ("doctor", "--json"), ("doctor",)])
def test_what_cannot_be_printed_is_told_in_a_line(command, tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "datacat", *command],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=100, cwd=tmp_path, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "datacat: what this prints cannot be written: No space left on device\n"
