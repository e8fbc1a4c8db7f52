"""What a shell is offered when a person presses the tabulator."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from datacat.client.api import DatacatClient

DATACAT = Path(sys.executable).with_name("datacat")


def offered(words, **environ):
    """As bash asks: the words so far, the last of them unfinished."""
    asked = {
        "_DATACAT_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [DATACAT], capture_output=True, text=True, timeout=60, check=False, env=os.environ | asked | environ
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_and_options_are_offered():
    assert {"check", "backup", "restore"} <= set(offered(["datacat", "db", ""]))
    assert "--tls-cert" in offered(["datacat", "serve", "--tls"])


def test_the_ids_of_sessions_are_offered(service):
    client = DatacatClient(service.url)
    ids = [client.register_session("editor") for _ in range(2)]
    assert sorted(offered(["datacat", "show", "0"], DATACAT_URL=service.url)) == sorted(ids)
    assert offered(["datacat", "show", "--url", service.url, ids[0]]) == [ids[0]]
    assert offered(["datacat", "show", "zz"], DATACAT_URL=service.url) == []
    assert sorted(offered(["datacat", "event", "--session", ""], DATACAT_URL=service.url)) == sorted(ids)


def test_without_a_service_nothing_is_offered_and_nothing_is_said():
    assert offered(["datacat", "show", ""], DATACAT_URL="http://127.0.0.1:9") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_shown_what_to_load(shell, tmp_path):
    done = subprocess.run(
        [DATACAT, "--show-completion", shell],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )
    assert done.returncode == 0
    assert "_DATACAT_COMPLETE" in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_itself_completes_a_sessions_id(service):
    session_id = DatacatClient(service.url).register_session("editor")
    script = f"""
        source <({DATACAT} --show-completion bash)
        COMP_WORDS=(datacat show {session_id[:4]}); COMP_CWORD=2
        _datacat_completion {DATACAT}
        echo "${{COMPREPLY[@]}}"
    """
    environment = os.environ | {
        "DATACAT_URL": service.url,
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert done.stdout.split() == [session_id], done.stderr
