"""What is shipped to be deployed: read as those read it who will run it, and tried where it can be."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import urllib3
import yaml  # type: ignore[import-untyped]

from datacat.cli.app import app
from datacat.server.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def accepts(arguments):
    """Whether ``datacat`` understands these arguments; nothing is run."""
    group: Any = typer.main.get_command(app)
    group.commands[arguments[0]].make_context(arguments[0], list(arguments[1:]))
    return True


def settings_named(text):
    return {name.lower() for name in re.findall(r"\bDATACAT_([A-Z_]+)=", text)}


class TestSystemd:
    text = (DEPLOY / "systemd/datacat.service").read_text()

    @pytest.fixture
    def unit(self):
        parser = configparser.RawConfigParser(strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(self.text)
        return parser

    def test_it_starts_what_is_there_with_options_that_are_known(self, unit):
        program, *arguments = shlex.split(unit["Service"]["ExecStart"])
        assert PurePosixPath(program).is_absolute()
        assert PurePosixPath(program).name == "datacat"
        assert accepts(arguments)
        assert settings_named(self.text) <= set(Settings.__struct_fields__)

    def test_it_waits_for_the_service_to_say_that_it_serves(self, unit):
        assert unit["Service"]["Type"] == "notify"
        assert int(unit["Service"]["WatchdogSec"]) >= 10
        assert int(unit["Service"]["TimeoutStopSec"]) > Settings().stop_timeout + 30  # what a commit is given

    def test_it_is_not_stopped_while_it_brings_a_large_database_up_to_date(self, unit):
        assert unit["Service"]["TimeoutStartSec"] == "infinity"

    def test_it_runs_as_a_user_of_its_own_who_may_write_the_database_alone(self, unit):
        service = unit["Service"]
        assert service["User"] in (DEPLOY / "systemd/datacat.sysusers.conf").read_text().split()
        assert (service["ProtectSystem"], service["NoNewPrivileges"]) == ("strict", "yes")
        database = re.search(r"DATACAT_DATABASE=(\S+)", self.text)
        assert database
        assert PurePosixPath(database[1]).parent == PurePosixPath("/var/lib") / service["StateDirectory"]

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
    def test_systemd_finds_nothing_wrong_with_it(self, tmp_path):
        datacat = Path(sys.executable).with_name("datacat")
        copy = tmp_path / "datacat.service"
        copy.write_text(self.text.replace("/opt/datacat/bin/datacat", str(datacat)))
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(copy)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "datacat.service" not in done.stderr, done.stderr


def instructions():
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def last(word):
    return [rest for each, rest in instructions() if each == word][-1]


class TestDockerfile:
    def test_it_copies_what_is_there_and_not_ignored(self):
        ignored = (ROOT / ".dockerignore").read_text().split()
        for word, rest in instructions():
            if word != "COPY" or rest.startswith("--from"):
                continue
            *sources, _ = rest.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert source.removeprefix("./") not in ignored

    def test_its_images_have_a_version(self):
        for word, rest in instructions():
            if word == "FROM":
                assert re.fullmatch(r"[a-z]+:\d[\w.-]+( AS \w+)?", rest), rest

    def test_it_keeps_no_cache_and_runs_as_no_root(self):
        steps = instructions()
        assert all(
            "--no-cache-dir" in rest for word, rest in steps if word == "RUN" and "pip install" in rest
        )
        final = steps[max(n for n, (word, _) in enumerate(steps) if word == "FROM") :]
        assert [rest for word, rest in final if word == "USER"][-1] not in ("root", "0")
        assert any(word == "RUN" and "useradd" in rest and last("USER") in rest for word, rest in final)

    def test_what_it_starts_is_understood_and_writes_into_the_volume(self):
        entry, command = yaml.safe_load(last("ENTRYPOINT")), yaml.safe_load(last("CMD"))
        assert entry == ["datacat"]
        assert accepts(command)
        assert command[command.index("--database") + 1].startswith(last("VOLUME") + "/")

    def test_its_health_check_asks_what_the_service_answers(self, shared_service):
        url = urlsplit(re.search(r"http://[^']+", last("HEALTHCHECK"))[0])  # type: ignore[index]
        assert url.port == int(last("EXPOSE")) == Settings().port
        assert urllib3.request("GET", shared_service.url + url.path).status == 200


class TestCompose:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]

    def test_what_it_builds_and_mounts_is_there(self):
        for name, service in self.services.items():
            if build := service.get("build"):
                assert (DEPLOY / build["context"] / build["dockerfile"]).is_file(), name
            for volume in service.get("volumes", []):
                source, target = volume.split(":")[:2]
                assert not source.startswith(".") or (DEPLOY / source).is_dir(), volume
                for part in service.get("command", []):
                    if str(part).startswith(target + "/"):
                        assert (DEPLOY / source / PurePosixPath(part).relative_to(target)).is_file(), part

    def test_nothing_is_reached_from_other_machines(self):
        ports = [port for service in self.services.values() for port in service.get("ports", [])]
        assert ports
        assert all(port.startswith("127.0.0.1:") for port in ports)

    def test_who_waits_for_the_service_waits_for_a_health_check_that_there_is(self):
        for service in self.services.values():
            for name, condition in service.get("depends_on", {}).items():
                assert condition == {"condition": "service_healthy"}
                assert "build" in self.services[name]
                assert last("HEALTHCHECK")

    def test_the_service_is_given_the_time_that_a_stop_takes(self):
        assert (
            int(self.services["datacat"]["stop_grace_period"].removesuffix("s"))
            > Settings().stop_timeout + 30
        )

    def test_the_service_writes_into_its_volume_alone(self):
        service = self.services["datacat"]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert [volume.split(":")[1] for volume in service["volumes"]] == [last("VOLUME")]
