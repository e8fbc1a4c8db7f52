"""Fixtures for all: a real service in a process of its own."""

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import settings
from tests.forks import Forked

# Whatever is recorded here, and in programs started from here, never meets the user's own journals.
_JOURNALS = tempfile.TemporaryDirectory(prefix="datacat-test-journals-")
os.environ["DATACAT_JOURNAL_DIR"] = _JOURNALS.name

# A shell that runs the tests in the background has them ignore some signals, and so would all that is started here.
signal.signal(signal.SIGINT, signal.default_int_handler)
for each in ("SIGHUP", "SIGQUIT"):
    if hasattr(signal, each):
        signal.signal(getattr(signal, each), signal.SIG_DFL)

settings.register_profile("datacat", deadline=None, max_examples=100)
settings.load_profile("datacat")


class Service:
    """``datacat serve`` as a user runs it, on a free port; can be killed and started again.

    ``program`` is what is run as ``datacat``; without one it is forked, see :mod:`tests.forks`.
    """

    def __init__(
        self, database: Path, *flags: str, log: Path | None = None, program: Sequence[str] = ()
    ) -> None:
        self.database = database
        self.flags = flags
        self.program = program
        self.log_file = log or database.with_suffix(".log")
        self.scheme, self.port = "http", 0
        self.start()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def start(self) -> None:
        arguments = ["serve", "--database", str(self.database), *self.flags, "--port", str(self.port)]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DATACAT_")}
        self.process = self._begin(arguments, environment)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        match = re.search(r"(https?)://.*:(\d+)$", line.strip())
        assert match, f"the service said {line!r}: {self.log_file.read_text()}"
        self.scheme, self.port = match[1], int(match[2])

    def _begin(self, arguments: list[str], environment: dict[str, str]) -> "subprocess.Popen[bytes] | Forked":
        if not self.program:
            return Forked(arguments, environment, self.log_file)
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [*self.program, *arguments], stdout=subprocess.PIPE, stderr=log, env=environment
            )

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def stop(self) -> int:
        return self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for journals of the test's own."""
    root = tmp_path / "journals"
    monkeypatch.setenv("DATACAT_JOURNAL_DIR", str(root))
    return root


@pytest.fixture(scope="session")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all tests that only add sessions of their own."""
    service = Service(tmp_path_factory.mktemp("service") / "datacat.db", "--durability", "normal")
    yield service
    service.stop()


@pytest.fixture(scope="session")
def ordinary_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The same without the fast lane."""
    database = tmp_path_factory.mktemp("ordinary") / "datacat.db"
    service = Service(database, "--durability", "normal", "--no-fast-lane")
    yield service
    service.stop()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own, which it may hurt."""
    service = Service(tmp_path / "datacat.db")
    yield service
    if service.process.poll() is None:
        service.stop()
