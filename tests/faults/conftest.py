"""Fixtures for the faults: a service that starts fast, and may be hurt."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.quick import QuickService

collect_ignore = ["warm.py"]
"""To import it is to build a service, which is for another process to do."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[QuickService]:
    service = QuickService(tmp_path / "datacat.db")
    yield service
    service.kill()
