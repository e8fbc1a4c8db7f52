"""What was acknowledged stays, once; what was not arrives later, once."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress

import pytest
from tests.acceptance.programs import run, sessions_of

import datacat
from datacat.client.api import DatacatClient
from datacat.model.errors import RequestFailed


def test_nothing_acknowledged_is_missing_after_the_server_is_killed(service):
    acknowledged: list[int] = []
    client = DatacatClient(service.url)
    session_id = client.register_session(product="durable")
    enough = threading.Event()

    def post(first):
        mine = DatacatClient(service.url)
        for n in range(first, 10**6, 4):
            try:
                mine.log_event(session_id, "e", {"n": n})
            except RequestFailed:
                return
            acknowledged.append(n)
            if len(acknowledged) > 400:
                enough.set()

    threads = [threading.Thread(target=post, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    service.kill()
    for thread in threads:
        thread.join()
    service.start()
    stored = [event["data"]["n"] for event in client.get_session(session_id)["events"]]
    assert len(stored) == len(set(stored))
    assert set(acknowledged) <= set(stored)
    # At most the one request of each connection that was under way may be there unanswered.
    assert len(set(stored) - set(acknowledged)) <= 4


def test_a_client_goes_on_through_kills_and_everything_arrives_once_and_in_order(service):
    session = datacat.create_session(service.url, product="steady")
    for n in range(3000):
        session.log_event("e", {"n": n})
        if n in (700, 1900):
            session.flush(0.05)
            service.kill()
        if n in (1200, 2400):
            service.start()
    assert session.flush(60)
    session.end()
    found = session.get_details()
    assert [event["data"]["n"] for event in found["events"]] == list(range(3000))
    assert (found["lost"], found["status"]) == (0, "ended")


def test_a_program_can_start_while_the_server_is_down(service):
    service.kill()
    session = datacat.create_session(service.url, product="early")
    session.log_event("before the server")
    assert not session.flush(0.1)
    service.start()
    assert session.flush(30)
    session.end()
    assert [event["name"] for event in session.get_details()["events"]] == ["before the server"]


def test_a_server_that_lost_its_database_is_given_again_what_the_journal_still_has(service):
    session = datacat.create_session(service.url, product="forgotten")
    session.log_event("old")
    assert session.flush(10)
    service.kill()
    for file in service.database.parent.glob("datacat.db*"):
        file.unlink()
    service.start()
    session.log_event("new")
    assert session.flush(30)
    found = session.get_details()
    assert ([event["name"] for event in found["events"]], found["lost"]) == (["old", "new"], 0)
    assert found["product"] == "forgotten"
    session.end()


def test_a_graceful_stop_finishes_what_was_accepted_and_leaves_one_file(service):
    done = run("import datacat\nwith datacat.create_session(product='p') as s: s.log_event('e')", service.url)
    assert done.returncode == 0
    assert service.stop() in (0, -15)
    assert [file.name for file in service.database.parent.glob("datacat.db*")] == ["datacat.db"]
    service.start()
    assert len(sessions_of(service.url, "p")) == 1


def test_a_second_ctrl_c_waits_for_no_open_request_and_prints_no_traceback(service):
    with socket.create_connection(("127.0.0.1", service.port)) as slow:
        whole, half = (
            b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n" + body
            for body in (b"{}", b"{")
        )
        slow.sendall(whole + half)
        assert slow.recv(4096).startswith(b"HTTP/1.1 200")
        service.process.send_signal(signal.SIGINT)
        with suppress(OSError):  # refused at last
            while True:
                socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(5) == -signal.SIGINT
    assert "Traceback" not in service.log_file.read_text()


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "| true"])
def test_it_serves_where_nobody_reads_what_it_says(tmp_path, closed):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = f"{shlex.quote(sys.executable)} -m datacat serve --port {port} --database a.db {closed}"
    process = subprocess.Popen(["bash", "-c", command], cwd=tmp_path, start_new_session=True)
    try:
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        assert (
            run(
                "import datacat\ndatacat.create_session(product='p').end()", f"http://127.0.0.1:{port}"
            ).returncode
            == 0
        )
        assert len(sessions_of(f"http://127.0.0.1:{port}", "p")) == 1
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def test_the_same_session_grows_without_harm(service):
    client = DatacatClient(service.url)
    session_id = str(uuid.uuid4())
    assert client.register_session(id=session_id) == session_id
    with datacat.create_session(service.url, session_id=session_id, product="grown") as session:
        for n in range(50_000):
            session.log_metric("m", n)
        assert session.flush(60)
    assert len(client.get_session(session_id)["metrics"]) == 50_000


@pytest.mark.parametrize("watchdog", [False, True])
def test_a_session_that_was_delivered_is_gone_on_with_by_its_id_and_nothing_is_lost(
    service, journals, watchdog
):
    session_id = str(uuid.uuid4())
    code = f"""
import datacat
session = datacat.create_session(session_id={session_id!r}, watchdog={watchdog}, exit_timeout=30)
session.log_event("said")
session.end()
"""
    for _ in range(3):
        run(code, service.url)
    session = DatacatClient(service.url).get_session(session_id)
    assert [event["name"] for event in session["events"]] == ["said"] * 3
    assert (session["status"], session["lost"]) == ("ended", 0)


def test_what_was_left_for_a_server_that_never_comes_stands_before_nothing_else(service, journals):
    begin = "import datacat, os, signal\nsession = datacat.create_session(product={!r})\nsession.log_event('said')\n"
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    run(begin.format("dead") + kill, "http://127.0.0.1:9")
    run(begin.format("gone") + kill, service.url)
    assert len(list(journals.iterdir())) == 2
    run(
        begin.format("next") + "import time\ndeadline = time.monotonic() + 30\n"
        "while len(os.listdir(os.environ['DATACAT_JOURNAL_DIR'])) > 2 and time.monotonic() < deadline: time.sleep(0.05)",
        service.url,
    )
    (gone,) = sessions_of(service.url, "gone")
    assert [event["name"] for event in gone["events"]] == ["said"]
    assert gone["status"] == "crashed"
    assert len(list(journals.iterdir())) == 1
