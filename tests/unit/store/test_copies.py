import os
import shutil
import stat

import apsw
import pytest
from tests.unit.store.filled import BEGAN, batch, fill, nothing_told

from datacat.ingest.committer import commit
from datacat.model.errors import StoreError
from datacat.store.sqlite import connect as connecting
from datacat.store.sqlite import copies
from datacat.store.sqlite.checks import check
from datacat.store.sqlite.connect import connect
from datacat.store.sqlite.copies import InUse, backup, held, restore
from datacat.store.sqlite.writer import SqliteWriter


def sessions(path):
    database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return database.execute("SELECT count(*) FROM session").fetchall()[0][0]
    finally:
        database.close()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_is_one_whole_file_of_one_moment(tmp_path):
    path = fill(tmp_path / "a.db")
    copied = backup(path, tmp_path / "b.db", nothing_told, force=False)
    assert copied.bytes == (tmp_path / "b.db").stat().st_size
    assert check(tmp_path / "b.db", nothing_told, full=True).ok
    assert names(tmp_path) == ["a.db", "b.db"]


def test_no_backup_takes_the_place_of_the_database_or_of_its_log(tmp_path):
    writer = SqliteWriter(fill(tmp_path / "a.db"))
    commit(writer, [batch(9)], BEGAN)
    for name in ("a.db", "a.db-wal", "a.db-shm"):
        before = (tmp_path / name).stat().st_ino
        with pytest.raises(StoreError, match="itself, or a part of it"):
            backup(tmp_path / "a.db", tmp_path / name, nothing_told, force=True)
        assert (tmp_path / name).stat().st_ino == before
    writer.close()


def test_a_backup_can_be_read_where_nothing_can_be_written(tmp_path):
    path = fill(tmp_path / "a.db")
    (tmp_path / "medium").mkdir()
    backup(path, tmp_path / "medium" / "b.db", nothing_told, force=False)
    assert sessions(tmp_path / "medium" / "b.db") == 6
    assert names(tmp_path / "medium") == ["b.db"]


def test_commits_during_a_backup_neither_wait_nor_begin_it_anew(tmp_path, monkeypatch):
    path = fill(tmp_path / "a.db", sessions=60, events=60)
    monkeypatch.setattr(copies, "_STEP_PAGES", 8)
    writer = SqliteWriter(path, durability="normal")
    told: list[float] = []

    def write_too(what: str, done: float) -> None:
        if what == "copying":
            told.append(done)
            commit(writer, [batch(100 + len(told))], BEGAN + 10**9)

    backup(path, tmp_path / "b.db", write_too, force=False)
    assert told == sorted(told)
    assert len(told) > 5
    assert sessions(path) == 60 + len(told)
    assert sessions(tmp_path / "b.db") == 60
    assert check(tmp_path / "b.db", nothing_told, full=True).ok
    writer.close()


def test_a_backup_replaces_nothing_unless_it_is_told_to(tmp_path):
    path = fill(tmp_path / "a.db")
    (tmp_path / "b.db").write_text("precious")
    with pytest.raises(StoreError, match="--force"):
        backup(path, tmp_path / "b.db", nothing_told, force=False)
    assert (tmp_path / "b.db").read_text() == "precious"
    backup(path, tmp_path / "b.db", nothing_told, force=True)
    assert sessions(tmp_path / "b.db") == 6


def test_a_backup_does_not_replace_what_was_made_meanwhile(tmp_path):
    path = fill(tmp_path / "a.db")
    with pytest.raises(StoreError, match="meanwhile"):
        backup(path, tmp_path / "b.db", lambda *_: (tmp_path / "b.db").write_text("precious"), force=False)
    assert (tmp_path / "b.db").read_text() == "precious"
    assert names(tmp_path) == ["a.db", "b.db"]


@pytest.mark.parametrize(("destination", "said"), [("a.db", "the database itself"), (".", "is a directory")])
def test_a_backup_is_a_file_of_its_own(tmp_path, destination, said):
    path = fill(tmp_path / "a.db")
    with pytest.raises(StoreError, match=said):
        backup(path, tmp_path / destination, nothing_told, force=True)
    assert check(path, nothing_told, full=False).ok


def test_a_backup_into_a_directory_that_is_not_there_is_told(tmp_path):
    with pytest.raises(StoreError, match="cannot write in"):
        backup(fill(tmp_path / "a.db"), tmp_path / "nowhere" / "b.db", nothing_told, force=False)


def test_a_backup_that_has_no_room_is_not_begun(tmp_path, monkeypatch):
    path = fill(tmp_path / "a.db")
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StoreError, match="make room"):
        backup(path, tmp_path / "b.db", nothing_told, force=False)
    assert names(tmp_path) == ["a.db"]


def test_a_backup_that_is_interrupted_leaves_nothing(tmp_path):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(fill(tmp_path / "a.db"), tmp_path / "b.db", interrupt, force=False)
    assert names(tmp_path) == ["a.db"]


def test_a_damaged_database_gives_no_backup(tmp_path):
    path = fill(tmp_path / "a.db", sessions=200, events=40)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 8192] = b"\xff" * 8192
    path.write_bytes(content)
    with pytest.raises(StoreError, match="the copy is damaged"):
        backup(path, tmp_path / "b.db", nothing_told, force=False)
    assert names(tmp_path) == ["a.db"]


def test_a_restore_puts_the_backup_in_place_and_keeps_what_was_there(tmp_path):
    fill(tmp_path / "b.db", sessions=2)
    path = fill(tmp_path / "a.db")
    path.chmod(0o640)
    restored = restore(path, tmp_path / "b.db", nothing_told, keep=True)
    assert restored.kept is not None
    assert (sessions(path), sessions(restored.kept)) == (2, 6)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    connect(path).close()


def test_a_restore_keeps_nothing_when_it_is_told_so(tmp_path):
    fill(tmp_path / "b.db", sessions=2)
    path = fill(tmp_path / "a.db")
    assert restore(path, tmp_path / "b.db", nothing_told, keep=False).kept is None
    assert names(tmp_path) == ["a.db", "b.db"]
    assert sessions(path) == 2


def test_a_restore_is_refused_while_the_database_is_open(tmp_path):
    fill(tmp_path / "b.db", sessions=2)
    path = fill(tmp_path / "a.db")
    service = SqliteWriter(path)
    commit(service, [batch(50)], BEGAN + 10**9)
    with pytest.raises(InUse, match="stop the service"):
        restore(path, tmp_path / "b.db", nothing_told, keep=True)
    commit(service, [batch(51)], BEGAN + 10**9)
    service.close()
    assert sessions(path) == 8


def killed(path):
    """A database whose service was killed: its last commits are in the log alone."""
    writer = SqliteWriter(path)
    commit(writer, [batch(60)], BEGAN + 10**9)
    content = {suffix: path.with_name(path.name + suffix).read_bytes() for suffix in ("", "-wal", "-shm")}
    writer.close()
    for suffix, each in content.items():
        path.with_name(path.name + suffix).write_bytes(each)


def test_the_log_that_a_killed_service_left_is_never_played_into_the_restored_database(tmp_path):
    fill(tmp_path / "b.db", sessions=2)
    path = fill(tmp_path / "a.db")
    killed(path)
    restored = restore(path, tmp_path / "b.db", nothing_told, keep=True)
    assert restored.kept is not None
    assert (sessions(path), sessions(restored.kept)) == (2, 7)
    assert check(path, nothing_told, full=True).ok


def test_a_restore_that_fails_at_its_last_step_leaves_the_database_with_all_that_its_log_had(
    tmp_path, monkeypatch
):
    fill(tmp_path / "b.db", sessions=2)
    path = fill(tmp_path / "a.db")
    killed(path)

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(copies, "rename", fail)
    with pytest.raises(StoreError, match=r"cannot write .*a.db: Input/output error"):
        restore(path, tmp_path / "b.db", nothing_told, keep=True)
    assert sessions(path) == 7
    assert check(path, nothing_told, full=True).ok
    assert not [name for name in names(tmp_path) if "unfinished" in name]


def test_a_log_whose_database_is_gone_is_removed_too(tmp_path):
    fill(tmp_path / "b.db", sessions=2)
    path = fill(tmp_path / "a.db")
    killed(path)
    path.unlink()
    restore(path, tmp_path / "b.db", nothing_told, keep=True)
    assert sessions(path) == 2
    assert check(path, nothing_told, full=True).ok


def test_a_damaged_database_is_replaced_and_kept_with_its_log(tmp_path):
    fill(tmp_path / "b.db", sessions=2)
    path = tmp_path / "a.db"
    path.write_text("no database at all " * 500)
    (tmp_path / "a.db-wal").write_text("a log")
    restored = restore(path, tmp_path / "b.db", nothing_told, keep=True)
    assert restored.kept is not None
    assert sessions(path) == 2
    assert [name for name in names(tmp_path) if "before" in name] == [
        os.path.basename(restored.kept),  # noqa: PTH119  # as it was told
        os.path.basename(restored.kept) + "-wal",  # noqa: PTH119
    ]


def test_a_damaged_database_that_somebody_has_open_is_not_replaced(tmp_path):
    fill(tmp_path / "b.db", sessions=2)
    path = fill(tmp_path / "a.db")
    reader = connect(path)
    with path.open("rb+") as file:
        file.write(b"x" * 100)
    with pytest.raises(InUse):
        restore(path, tmp_path / "b.db", nothing_told, keep=True)
    reader.close()


def test_what_is_no_database_of_ours_is_not_restored(tmp_path):
    path = fill(tmp_path / "a.db")
    newer = connect(tmp_path / "newer.db")
    newer.pragma("user_version", 999)
    newer.close()
    other = apsw.Connection(str(tmp_path / "other.db"))
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    for source, said in (
        ("newer.db", "newer datacat"),
        ("other.db", "another file to restore"),
        ("none", "no database at"),
    ):
        with pytest.raises(StoreError, match=said):
            restore(path, tmp_path / source, nothing_told, keep=True)
    with pytest.raises(StoreError, match="the database itself"):
        restore(path, path, nothing_told, keep=True)
    assert sessions(path) == 6


def test_nobody_can_open_a_database_that_is_held(tmp_path):
    path = fill(tmp_path / "a.db")
    with held(path):
        other = apsw.Connection(str(path))
        with pytest.raises(apsw.BusyError):
            other.execute("SELECT count(*) FROM session").fetchall()
        other.close()
    assert sessions(path) == 6


def test_who_opened_it_while_a_restore_ended_does_not_serve_the_file_that_was_set_aside(
    tmp_path, monkeypatch
):
    fill(tmp_path / "b.db", sessions=2)
    path = fill(tmp_path / "a.db")

    def restored_meanwhile(*_: object) -> None:
        monkeypatch.undo()
        restore(path, tmp_path / "b.db", nothing_told, keep=True)

    monkeypatch.setattr(connecting, "_check_ours", restored_meanwhile)
    with pytest.raises(StoreError, match="was replaced while it was being opened"):
        connect(path)
    assert sessions(path) == 2
    connect(path).close()
