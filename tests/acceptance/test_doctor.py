"""``datacat doctor`` on set-ups that are really broken."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager

import apsw
import pytest
from tests.acceptance.programs import run
from tests.forks import run_datacat

from datacat.store.sqlite.connect import connect


def doctor(folder, *arguments, **environ):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DATACAT_")}
    environment |= {"DATACAT_JOURNAL_DIR": str(folder / "journals")} | environ
    done = run_datacat("doctor", "--json", *arguments, cwd=folder, environ=environment)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    problems = {each["code"]: each for each in found["findings"] if each["level"] == "problem"}
    assert (done.returncode, found["ok"]) == ((1, False) if problems else (0, True))
    return problems


@contextmanager
def answering(status, body=b"{}", **headers):
    """Something that speaks HTTP and is not datacat."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def test_a_service_that_runs_is_well(service, tmp_path):
    assert (
        doctor(tmp_path, "--url", service.url, "--port", service.port, "--database", service.database) == {}
    )


def test_where_nothing_listens_it_says_how_to_start_it(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    found = doctor(tmp_path, "--url", f"http://127.0.0.1:{port}", "--port", port)
    assert list(found) == ["service_refused"]
    assert "datacat serve" in found["service_refused"]["cure"]
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_another_program_has_is_told_with_the_program(tmp_path):
    with answering(404) as url:
        port = url.rpartition(":")[2]
        found = doctor(tmp_path, "--url", url, "--port", port)
    assert set(found) == {"port_taken", "not_datacat"}
    assert f"pid {os.getpid()}" in found["port_taken"]["what"]


@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [
        (401, {"WWW-Authenticate": "Bearer"}, "key_missing"),
        (403, {}, "key_missing"),
        (502, {}, "proxy"),
        (308, {"Location": "https://elsewhere.example/"}, "redirected"),
    ],
)
def test_what_answers_in_the_place_of_the_service_is_told_apart(tmp_path, status, headers, code):
    with answering(status, **headers) as url:
        assert list(doctor(tmp_path, "--url", url, "--port", 0)) == [code]


def test_the_port_that_is_looked_at_is_that_of_a_service_here_that_is_asked_for(service, tmp_path):
    done = run_datacat(
        "doctor",
        *("--url", service.url, "--database", str(service.database)),
        cwd=tmp_path,
        environ={**os.environ, "DATACAT_JOURNAL_DIR": str(tmp_path / "journals")},
    )
    assert done.returncode == 0, done.stdout
    assert f"port {service.port}," in " ".join(done.stdout.split())


def test_a_service_that_knows_the_key_not_is_told_from_one_that_wants_one(tmp_path):
    with answering(401) as url:
        assert list(doctor(tmp_path, "--url", url, "--port", 0, DATACAT_KEY="k")) == ["key_refused"]


@pytest.mark.parametrize(
    ("key", "found"), [("ключ", "key_malformed"), ("two words", "key_malformed"), ("k\n", "key_refused")]
)
def test_a_key_that_cannot_be_one_is_told_from_one_with_a_line_break_behind_it(tmp_path, key, found):
    with answering(401) as url:
        assert list(doctor(tmp_path, "--url", url, "--port", 0, DATACAT_KEY=key)) == [found]


def test_a_clock_that_is_off_is_told(tmp_path):
    about = b'{"info": {"title": "datacat", "version": "0.1.0"}}'

    class Earlier(http.server.BaseHTTPRequestHandler):
        def date_time_string(self, timestamp=None):
            return "Wed, 01 Jan 2020 00:00:00 GMT"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(about)))
            self.end_headers()
            self.wfile.write(about)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Earlier) as server:
        threading.Thread(target=server.serve_forever).start()
        found = doctor(tmp_path, "--url", f"http://127.0.0.1:{server.server_address[1]}", "--port", 0)
        server.shutdown()
    assert list(found) == ["clock_off"]
    assert "ahead of" in found["clock_off"]["what"]


def test_https_to_a_service_without_it_says_http(service, tmp_path):
    found = doctor(tmp_path, "--url", service.url.replace("http:", "https:"), "--port", 0)
    assert list(found) == ["no_tls"]
    assert service.url in found["no_tls"]["cure"]


@pytest.mark.parametrize(
    ("url", "code"), [("localhost:8080", "url"), ("http://nohost.invalid", "service_unknown_host")]
)
def test_a_wrong_url_is_told(tmp_path, url, code):
    assert list(doctor(tmp_path, "--url", url, "--port", 0)) == [code]


def newer(path):
    database = connect(path)
    database.pragma("user_version", 999)
    database.close()


def others(path):
    database = apsw.Connection(str(path))
    database.execute("CREATE TABLE theirs (x)")
    database.close()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (newer, "database_newer"),
        (others, "database_not_ours"),
        (lambda path: path.write_text("hello " * 1000), "database_damaged"),
    ],
)
def test_a_database_that_cannot_be_served_from_is_told(service, tmp_path, make, code):
    make(tmp_path / "x.db")
    assert list(doctor(tmp_path, "--url", service.url, "--port", 0, "--database", tmp_path / "x.db")) == [
        code
    ]


def test_a_database_that_is_locked_is_told_with_who_holds_it(service, tmp_path):
    connect(tmp_path / "x.db").close()
    other = apsw.Connection(str(tmp_path / "x.db"))
    other.execute("BEGIN IMMEDIATE")
    found = doctor(tmp_path, "--url", service.url, "--port", 0, "--database", tmp_path / "x.db")
    other.close()
    assert list(found) == ["database_locked"]
    assert f"pid {os.getpid()}" in found["database_locked"]["what"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_database_that_cannot_be_written_is_told(tmp_path):
    connect(tmp_path / "x.db").close()
    (tmp_path / "x.db").chmod(0o400)
    found = doctor(tmp_path, "--url", "http://127.0.0.1:9", "--port", 0, "--database", tmp_path / "x.db")
    assert "database_read_only" in found


def test_what_a_program_could_not_deliver_is_told_until_it_is(service, tmp_path):
    nowhere = "http://127.0.0.1:9"
    code = "import datacat\ns = datacat.create_session(exit_timeout=0)\ns.log_event('saved', {})\n"
    assert run(code, nowhere, DATACAT_JOURNAL_DIR=str(tmp_path / "journals")).returncode == 0
    found = doctor(tmp_path, "--url", service.url, "--port", 0)
    assert list(found) == ["journals_waiting"]
    assert "1 program" in found["journals_waiting"]["what"]
    assert f"{nowhere} only while that can be reached" in found["journals_waiting"]["cure"]
    assert f"datacat flush --url {service.url}" in found["journals_waiting"]["cure"]
    flush = [
        sys.executable,
        "-m",
        "datacat",
        "flush",
        "--url",
        service.url,
        "--journal-dir",
        tmp_path / "journals",
    ]
    subprocess.run(flush, check=True, capture_output=True)
    assert doctor(tmp_path, "--url", service.url, "--port", 0) == {}


def test_a_place_for_journals_that_is_a_file_is_told(service, tmp_path):
    (tmp_path / "journals").write_text("")
    found = doctor(tmp_path, "--url", service.url, "--port", 0)
    assert list(found) == ["journals_unusable"]


def test_a_setting_that_is_wrong_is_told(service, tmp_path):
    assert list(doctor(tmp_path, "--url", service.url, DATACAT_PORT="http")) == ["settings"]


def test_for_people_each_finding_says_why_and_the_cure_without_colour_in_a_pipe(tmp_path):
    done = run_datacat("doctor", "--url", "http://127.0.0.1:9", cwd=tmp_path)
    assert done.returncode == 1
    assert "nothing listens at http://127.0.0.1:9" in done.stdout
    assert "why" in done.stdout
    assert "cure" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("url", ["http://localhost:99999", "localhost:8080", "http://", "http://[::1"])
def test_what_is_no_url_is_told(tmp_path, url):
    assert "write it as http://HOST:PORT" in doctor(tmp_path, "--url", url)["url"]["cure"]
