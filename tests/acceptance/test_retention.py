"""A service that keeps sessions for a while."""

import time

import pytest
from tests.acceptance.test_commands import datacat
from tests.api.conftest import Api
from tests.conftest import Service


@pytest.fixture
def forgetful(tmp_path):
    service = Service(tmp_path / "datacat.db", "--retain", "2s", "--retain-per-product", "editor=1h")
    yield service
    service.stop()


def test_sessions_go_when_their_time_is_over_and_the_metrics_page_tells(forgetful):
    api = Api(forgetful.url)
    game, editor = api.create(product="game"), api.create(product="editor")
    for _ in range(50):
        api.call("POST", f"/api/sessions/{game}/events", {"name": "step", "message": "m" * 1_000})
    deadline = time.monotonic() + 30
    page = ""
    while (
        'datacat_sessions_removed_total{reason="age"} 1.0' not in page
        or "\ndatacat_sessions_being_removed 0.0" not in page
    ):
        assert time.monotonic() < deadline, page
        time.sleep(0.1)
        page = api.raw("GET", "/metrics").data.decode()
    assert api.call("GET", f"/api/sessions/{game}")[0] == 404
    assert api.get(editor)["product"] == "editor"
    assert 'datacat_database_bytes{part="used"}' in page


def test_what_cannot_be_understood_is_told_before_anything_is_removed(tmp_path):
    done = datacat("serve", "--database", str(tmp_path / "datacat.db"), "--retain", "a month")
    assert done.returncode == 1
    assert "as 30d" in done.stderr
