"""Processes that start in a tenth of a second: forked from one that has imported everything already.

They are processes like any other, run what a command line would run, and can be killed like any other.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.faults.warm", "datacat.server.run", "datacat.cli.app", "tests.forks"])


class Forked:
    """``datacat`` with these arguments; as much of :class:`subprocess.Popen` as tests need.

    Args:
        arguments: what stands behind ``datacat``.
        environ: its environment, whole.
        stderr: the file to which it says what went wrong.
        cwd: where it runs.
    """

    def __init__(
        self, arguments: list[str], environ: Mapping[str, str], stderr: Path, cwd: Path | None = None
    ) -> None:
        self._heard, said = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(
            target=_datacat, args=(arguments, dict(environ), str(stderr), cwd, said), daemon=True
        )
        self._process.start()
        said.close()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.stdout = open(self._heard.fileno(), "rb", closefd=False)  # noqa: SIM115  # as long as the process

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """Its exit code, when it has ended."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("datacat", timeout)
        return self._process.exitcode


def run_datacat(
    *arguments: object, environ: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 60
) -> "subprocess.CompletedProcess[str]":
    """One command, to its end; ``environ`` is this process's own without it."""
    command = [str(each) for each in arguments]
    with tempfile.NamedTemporaryFile() as stderr:
        process = Forked(command, os.environ if environ is None else environ, Path(stderr.name), cwd)
        killer = threading.Timer(timeout, process.send_signal, (signal.SIGKILL,))
        killer.start()
        stdout = process.stdout.read()
        code = process.wait(timeout)
        killer.cancel()
        process.stdout.close()
        return subprocess.CompletedProcess(command, code, stdout.decode(), stderr.read().decode())


def _datacat(
    arguments: list[str], environ: dict[str, str], stderr: str, cwd: Path | None, said: "Connection[Any, Any]"
) -> None:
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(cwd or Path.cwd())
    with open(stderr, "ab") as file:  # noqa: PTH123  # a path's way is longer
        os.dup2(file.fileno(), 2)
    os.dup2(said.fileno(), 1)
    said.close()
    # The one that was inherited takes what was standard output then for a file that can be sought in.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as the process
    sys.argv = ["datacat", *arguments]
    from datacat.cli import main

    main()
