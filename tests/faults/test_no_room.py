"""No more can be written, in the middle of commits: refused whole, read on, and accepted again when there is room."""

import contextlib
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3
from tests.acceptance.faults import small_disk
from tests.faults.audit import audit
from tests.faults.quick import QuickService
from tests.faults.writers import Writers

ROOM = 2 * 1024 * 1024
"""Bytes the database may grow by, until there is no room."""


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[tuple[QuickService, Callable[[], object]]]:
    """A file system that is full when some has been written, and has room when the ballast is gone."""
    with small_disk(folder / "disk", 64) as disk:
        ballast = disk / "ballast"
        service = QuickService(disk / "datacat.db")
        ballast.write_bytes(bytes(64 * 1024 * 1024 - ROOM))
        yield service, ballast.unlink
        service.kill()


@contextlib.contextmanager
def short_files(folder: Path) -> Iterator[tuple[QuickService, Callable[[], object]]]:
    """No file may be longer than this, until it may: what a quota does, or a file system with a limit."""
    service = QuickService(folder / "datacat.db")
    _, hard = resource.prlimit(service.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (ROOM, hard))
    yield service, lambda: resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (hard, hard))
    service.kill()


@pytest.mark.parametrize("fault", [full_disk, short_files])
def test_what_has_no_room_is_refused_whole_and_accepted_when_there_is_room(tmp_path, fault):
    with fault(tmp_path) as (service, make_room):
        writers = Writers(service.port, 7)
        with writers.writing():
            deadline = time.monotonic() + 60
            while writers.refused < 20:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            listed = urllib3.request("GET", f"{service.url}/api/sessions", retries=False)
            assert (listed.status, len(listed.json()["sessions"]) > 3) == (200, True)
            assert urllib3.request("GET", f"{service.url}/readyz", retries=False).status == 200
            make_room()
            for _ in range(20):
                writers.wait_for_more()
        writers.check(service.url)
        assert service.stop() in (0, -15)
        audit(service.database)
