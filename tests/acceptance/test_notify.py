"""The service under a manager that speaks ``sd_notify``: a real socket, a real process."""

import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from datacat.client.api import DatacatClient
from datacat.server.notify import Notifier

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """What systemd listens with, and how it names it to the service."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@datacat-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if name.startswith("@") else name)
        listening.settimeout(30)
        yield listening, name


def test_the_manager_hears_when_it_serves_that_it_lives_and_when_it_stops(manager, tmp_path):
    listening, name = manager
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DATACAT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "datacat", "serve", "--port", "0", "--database", str(tmp_path / "a.db")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment | {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"},
    )
    try:
        ready = listening.recv(4096).decode()
        url = re.fullmatch(r"READY=1\nSTATUS=listens on (http://\S+)", ready)
        assert url, ready
        assert DatacatClient(url[1]).get_all_sessions() == []
        assert [listening.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        process.send_signal(signal.SIGTERM)
        while (said := listening.recv(4096).decode()) == "WATCHDOG=1":
            pass
        assert said.startswith("STOPPING=1\n")
        assert process.wait(30) == -signal.SIGTERM  # which systemd takes for a good end
    finally:
        process.kill()
        _, errors = process.communicate()
    assert errors == b""


def test_a_service_that_does_not_start_is_never_ready(manager, tmp_path):
    listening, name = manager
    (tmp_path / "notes.db").write_text("my notes " * 500)
    command = [
        sys.executable,
        "-m",
        "datacat",
        "serve",
        "--port",
        "0",
        "--database",
        str(tmp_path / "notes.db"),
    ]
    done = subprocess.run(
        command, capture_output=True, timeout=60, env=os.environ | {"NOTIFY_SOCKET": name}, check=False
    )
    assert done.returncode == 1
    listening.settimeout(0)
    with pytest.raises(BlockingIOError):
        listening.recv(4096)


def test_a_watchdog_meant_for_another_process_is_not_answered(manager):
    listening, name = manager
    Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}).alive()
    Notifier({"NOTIFY_SOCKET": name}).alive()
    listening.settimeout(0)
    with pytest.raises(BlockingIOError):
        listening.recv(4096)


def test_a_manager_that_is_gone_is_told_in_the_log_and_stops_nothing(tmp_path, caplog):
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("listens")
    assert "the service manager cannot be told" in caplog.text
    Notifier({}).stopping()
    assert len(caplog.records) == 1
