"""``datacat grafana provision``, as a user types it."""

import json
import stat

import msgspec
from tests.forks import run_datacat


def provision(*arguments):
    return run_datacat("grafana", "provision", *arguments)


def test_everything_is_written_for_an_address_and_a_key(tmp_path):
    done = provision(
        tmp_path / "new", "--url", "http://here:8080/", "--key", "secret", "--crash-free-below", "0.9"
    )
    assert done.returncode == 0, done.stderr
    assert f"7 files written to {tmp_path / 'new'}, for http://here:8080/" in done.stdout
    assert "secret" not in done.stdout
    sources = tmp_path / "new/datasources/datacat.yaml"
    assert stat.S_IMODE(sources.stat().st_mode) == 0o600, "it holds the key"
    (source, _) = msgspec.yaml.decode(sources.read_bytes())["datasources"]
    assert source["url"] == "http://here:8080"
    (provider,) = msgspec.yaml.decode((tmp_path / "new/dashboards/datacat.yaml").read_bytes())["providers"]
    assert provider["options"]["path"] == str(tmp_path / "new/dashboards")
    (group,) = msgspec.yaml.decode((tmp_path / "new/alerting/datacat.yaml").read_bytes())["groups"]
    assert group["rules"][1]["data"][1]["model"]["conditions"][0]["evaluator"]["params"] == [0.9]
    overview = json.loads((tmp_path / "new/dashboards/datacat-overview.json").read_text())
    assert overview["uid"] == "datacat-overview"


def test_writing_anew_replaces_what_was_there(tmp_path):
    assert provision(tmp_path).returncode == provision(tmp_path, "--url", "http://other:1").returncode == 0
    assert "http://other:1" in (tmp_path / "datasources/datacat.yaml").read_text()


def test_what_cannot_be_done_is_said_in_a_line(tmp_path):
    (tmp_path / "file").touch()
    done = provision(tmp_path / "file")
    assert done.returncode == 1
    assert "cannot be written" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    done = provision(tmp_path, "--url", "here:8080")
    assert done.returncode == 2
    assert "url must begin with http:// or https://" in " ".join(done.stderr.replace("│", " ").split())
