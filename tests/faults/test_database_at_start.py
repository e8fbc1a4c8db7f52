"""A database that cannot be served from: said clearly, exit code 1, and the file is left as it was."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from tests.acceptance.faults import bound_by_permissions
from typer.testing import CliRunner

from datacat.cli.app import app
from datacat.ingest.committer import commit
from datacat.model.records import Batch, Event, Origin, Record, Rejected, Start
from datacat.store.sqlite.writer import SqliteWriter

SESSION = "01934f5e-0000-7000-8000-000000000001"


def database(path: Path) -> Path:
    """A database with a session of some hundred events."""
    writer = SqliteWriter(path)
    records: list[Record | Rejected] = [Start(seq=1, time=1, product="p")]
    records += [Event(seq=n, time=n, name="e", message="x" * 200) for n in range(2, 500)]
    commit(writer, [Batch(SESSION, Origin.APP, records)], 1)
    writer.close()
    return path


def newer(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 999)
    connection.close()


def of_another_program(path: Path) -> None:
    path.unlink()
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()


def missing_beside_its_log(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    path.rename(path.with_suffix(".elsewhere"))
    log.write_bytes(b"the newest records")


def cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def garbled(path: Path, first: int, count: int) -> None:
    with path.open("r+b") as file:
        file.seek(first)
        file.write(b"\xa5" * count)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut in the middle": (lambda path: cut(path, path.stat().st_size // 2), "is damaged, or no database"),
    "cut in a page": (lambda path: cut(path, 5000), "is damaged, or no database"),
    "cut to its first page": (lambda path: cut(path, 4096), "is damaged, or no database"),
    "cut to nothing": (lambda path: cut(path, 0), "is empty, so its content was lost"),
    "a garbled head": (lambda path: garbled(path, 0, 100), "is damaged, or no database"),
    "a garbled schema": (lambda path: garbled(path, 100, 3000), "is damaged, or no database"),
    "garbage": (lambda path: path.write_bytes(bytes(range(256)) * 100), "is damaged, or no database"),
    "a short text": (lambda path: path.write_text("hello"), "is damaged, or no database"),
    "of a newer version": (newer, "is of a newer datacat"),
    "of another program": (of_another_program, "is a database of another program"),
    "gone, and its log is not": (missing_beside_its_log, "is missing, but"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_database_that_cannot_be_trusted_is_refused_and_left_as_it_is(tmp_path, damage):
    path = database(tmp_path / "datacat.db")
    harm, says = DAMAGE[damage]
    harm(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    done = CliRunner().invoke(app, ["serve", "--database", str(path), "--port", "0"])
    assert done.exit_code == 1
    assert says in done.stderr
    assert str(path) in done.stderr
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize(("what", "mode"), [("file", 0o444), ("directory", 0o555)])
def test_a_database_that_may_not_be_written_is_refused(tmp_path, what, mode):
    path = database(tmp_path / "datacat.db")
    before = path.read_bytes()
    (path if what == "file" else tmp_path).chmod(mode)
    serve = [sys.executable, "-m", "datacat", "serve", "--database", str(path), "--port", "0"]
    done = subprocess.run(
        [*bound_by_permissions(), *serve], capture_output=True, text=True, timeout=60, check=False
    )
    tmp_path.chmod(0o755)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path} is read-only: give this user the right to write it" in done.stderr
    assert path.read_bytes() == before


def test_a_database_that_is_locked_for_good_is_refused_and_served_when_it_is_free(tmp_path, monkeypatch):
    path = database(tmp_path / "datacat.db")
    monkeypatch.setattr("datacat.store.sqlite.connect._BUSY_TIMEOUT_MS", 50)
    other = apsw.Connection(str(path))
    other.pragma("locking_mode", "exclusive")
    other.execute("BEGIN EXCLUSIVE")
    done = CliRunner().invoke(app, ["serve", "--database", str(path), "--port", "0"])
    assert (done.exit_code, "cannot be used now: database is locked" in done.stderr) == (1, True)
    other.close()
    SqliteWriter(path).close()
