"""A service that starts in a tenth of a second, for tests that start it a hundred times.

It is a process like any other, and can be killed like any other; but it is forked from one that has
imported everything already.
"""

import os
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.forks import FORKS

from datacat.model.clock import SystemClock
from datacat.server import run, wiring
from datacat.server.settings import Settings


class ShiftedClock(SystemClock):
    """The machine's clock, as many seconds ahead as a file says."""

    def __init__(self, shift: Path) -> None:
        self._shift = shift

    def now(self) -> int:
        return super().now() + int(self._shift.read_text()) * 1_000_000


class QuickService:
    """The same service as ``tests.conftest.Service``, with settings as keywords.

    ``clock_shift`` is a file that says by how many seconds its clock is wrong.
    """

    def __init__(self, database: Path, *, clock_shift: Path | None = None, **settings: Any) -> None:
        self.database = database
        self.clock_shift = clock_shift
        self.log_file = database.with_suffix(".log")
        self.port = 0
        self._settings = settings
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def start(self) -> None:
        settings = Settings(database=str(self.database), port=self.port, **self._settings)
        heard, said = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(
            target=_serve, args=(settings, self.log_file, self.clock_shift, said), daemon=True
        )
        self._process.start()
        said.close()
        try:
            self.port = int(heard.recv().rpartition(":")[2])
        except EOFError:
            raise AssertionError(f"the service did not start: {self.log_file.read_text()}") from None

    def kill(self) -> None:
        self._process.kill()
        self._process.join(30)

    def stop(self) -> int | None:
        self._process.terminate()
        self._process.join(30)
        return self._process.exitcode


def _serve(settings: Settings, log: Path, clock_shift: Path | None, said: "Connection[str, str]") -> None:
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    if clock_shift is not None:
        vars(wiring)["SystemClock"] = partial(ShiftedClock, clock_shift)
    run.serve(settings, said.send)
