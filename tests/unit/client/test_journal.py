"""The journal's two sides, and what may happen to its files."""

import itertools
import os
import shutil
import stat
import time
import uuid
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacat.client import budget, journal
from datacat.client.backlog import KINDS, Backlog, numbered
from datacat.client.epilogue import last_words
from datacat.client.journal import (
    HEADER,
    MAGIC,
    VERSION,
    About,
    JournalWriter,
    frame,
    segment_header,
    segment_name,
)
from datacat.client.journal_reader import ForeignJournal, JournalReader
from datacat.client.journal_root import leftover_folders, open_leftover, remove_abandoned, used_bytes
from datacat.client.leftovers import leftovers
from datacat.client.options import Options
from datacat.testing import FakeClock

ID = "01934f5e-0000-7000-8000-000000000001"


class Log:
    """A journal that is written and read, with a count of what went in."""

    def __init__(self, folder, *, room=64 * 1024 * 1024, session_id=ID):
        self.folder = folder
        self.writer = JournalWriter(
            folder, About(VERSION, session_id, "http://x", msgspec.Raw(b'{"type":"start"}')), room=room
        )
        self.reader = JournalReader(folder, session_id, FakeClock())
        self.seq = 0
        self.time = 0

    def add(self, count=1, *, kind="event", text="x"):
        for _ in range(count):
            self.time += 1000
            body = b'"time":1,"type":"%s","text":"%s"}' % (kind.encode(), text.encode())
            if not self.writer.write(kind, self.seq + 1, numbered(self.seq + 1, body), self.time):
                return False
            self.seq += 1
        return True

    def seqs(self, after=0):
        return [entry.seq for entry in self.reader.read(after, 10**9, 10**9)]

    def records(self):
        chunk = Backlog(self.reader, FakeClock()).take(10**9, 10**9)
        return [msgspec.json.decode(line) for line in chunk.body.splitlines()] if chunk else []

    def segments(self):
        return sorted(self.folder.glob("*.log"))


@pytest.fixture
def log(tmp_path):
    log = Log(tmp_path / "root" / ID)
    yield log
    log.writer.close()
    log.reader.close()


def test_what_is_written_is_read_in_order(log):
    assert log.add(1000)
    assert log.seqs() == list(range(1, 1001))
    assert log.seqs(after=990) == list(range(991, 1001))


def test_a_reader_sees_what_comes_later(log):
    log.add(3)
    assert log.seqs() == [1, 2, 3]
    log.add(2)
    assert log.seqs(after=3) == [4, 5]


def test_a_read_has_bounds_and_at_least_one_record(log):
    log.add(10, text="y" * 1000)
    assert [entry.seq for entry in log.reader.read(0, 1, 100)] == [1]
    assert [entry.seq for entry in log.reader.read(0, 10**6, 4)] == [1, 2, 3, 4]


def test_segments_that_are_acknowledged_are_removed(log):
    log.add(20_000)
    assert len(log.segments()) > 2
    log.seqs()
    log.reader.release(19_999)
    assert len(log.segments()) == 1
    assert log.seqs(after=19_999) == [20_000]


def test_what_a_reader_was_given_it_reads_though_its_file_is_removed(log):
    log.add(3)
    log.reader.adopt(log.writer.segment.number, log.writer.segment.file)
    shutil.rmtree(log.folder)
    assert log.seqs() == [1, 2, 3]


def test_a_reader_holds_no_more_files_than_a_program_can_spare(log):
    for number in range(1, 30):
        log.add(1, text="z" * 1_000_000)
        log.reader.adopt(number, log.writer.segment.file)
    assert len(log.reader._files) <= 8


def test_a_record_larger_than_a_segment_has_one_of_its_own(log):
    log.add(2)
    log.add(1, text="z" * 1_000_000)
    log.add(2)
    assert log.seqs() == [1, 2, 3, 4, 5]


def test_the_directory_is_for_its_owner_alone(log):
    log.add()
    for path, mode in ((log.folder.parent, 0o700), (log.folder, 0o700), (log.segments()[0], 0o600), (log.folder / "session.json", 0o600)):  # fmt: skip
        assert stat.S_IMODE(path.stat().st_mode) == mode, path


def test_the_layout_is_as_it_is_written_down(log):
    log.add()
    content = log.segments()[0].read_bytes()
    assert content[:32] == b"datacat\n" + (1).to_bytes(4, "little") + uuid.UUID(ID).bytes + bytes(4)
    word = int.from_bytes(content[32:36], "little")
    assert word >> 24 == 3  # an event
    line = content[48 : 48 + (word & 0xFFFFFF)]
    assert msgspec.json.decode(line)["seq"] == int.from_bytes(content[40:48], "little") == 1
    assert not content[48 + len(line) :].strip(b"\0")


@given(cut=st.integers(1, 90))
def test_a_torn_last_frame_is_skipped(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("torn")
    whole = frame("event", 1, b'{"seq":1}\n') + frame("event", 2, b'{"seq":2,"text":"%s"}\n' % (b"x" * 60))
    torn = whole[: len(whole) - cut] + bytes(cut)
    (folder / segment_name(1)).write_bytes(segment_header(ID) + torn + bytes(100))
    reader = JournalReader(folder, ID, FakeClock())
    assert [entry.seq for entry in reader.read(0, 10**6, 100)] in ([1], [1, 2] if torn == whole else [1])
    reader.close()


def test_what_is_missing_in_the_middle_is_said_to_be_lost(log):
    log.add(20_000)
    middle = log.segments()[1]
    gone = [entry.seq for entry, _ in log.reader._segment(2, 0)]
    log.reader.close()
    middle.unlink()
    records = log.records()
    (loss,) = [each for each in records if each["type"] == "loss"]
    assert (loss["first"], loss["seq"]) == (gone[0], gone[-1])
    assert [seq for each in records for seq in range(each.get("first", each["seq"]), each["seq"] + 1)] == list(range(1, 20_001))  # fmt: skip


def test_a_directory_that_is_removed_is_made_anew(log):
    log.add(10)
    assert log.seqs() == list(range(1, 11))
    shutil.rmtree(log.folder.parent)
    log.writer.replace(log.writer.segment)
    assert log.add(10)
    assert log.seqs(after=10) == list(range(11, 21))
    assert (log.folder / "session.json").exists()


@pytest.mark.parametrize("size", [0, 10, 5000])
def test_a_file_shortened_by_somebody_is_left_for_a_new_one(log, size):
    log.add(300)
    os.truncate(log.segments()[0], size)
    assert log.add(300)
    assert log.seq == 600
    assert log.seqs()[-300:] == list(range(301, 601))


def test_a_directory_that_cannot_be_made_is_told_and_tried_again_later(tmp_path, monkeypatch):
    (tmp_path / "root").write_text("a file stands here")
    log = Log(tmp_path / "root" / ID)
    assert not log.add()
    assert "cannot be written" in (log.writer.complaint or "")
    (tmp_path / "root").unlink()
    assert not log.add()
    log.writer.retry()
    assert not log.add()
    monkeypatch.setattr("time.monotonic", lambda: 1e12)
    log.writer.retry()
    assert log.add()
    log.writer.close()


def test_no_more_room_is_taken_than_was_given(tmp_path):
    log = Log(tmp_path / "root" / ID, room=400_000)
    assert not log.add(100_000)
    assert used_bytes(log.folder.parent) <= 420_000
    log.writer.room = 4_000_000
    assert log.add()
    log.writer.close()


def test_the_next_segment_can_be_made_before_it_is_needed(log):
    log.add(600)
    path, size = log.writer.wanted_spare()
    log.writer.take_spare(log.writer.make_spare(path, size))
    assert log.writer.wanted_spare() is None
    assert log.seqs() == list(range(1, 601))
    log.add(2000)
    assert log.writer.segment.path == path
    assert log.seqs() == list(range(1, 2601))


def test_a_spare_that_comes_too_late_is_removed(log):
    log.add(600)
    path, size = log.writer.wanted_spare()
    log.add(2000)
    spare = log.writer.make_spare(path, size)
    log.writer.take_spare(spare)
    assert not path.exists()
    assert log.seqs() == list(range(1, 2601))


def test_a_journal_is_held_by_its_writer_and_free_when_it_is_closed(log):
    log.add(3)
    assert open_leftover(log.folder, FakeClock()) is None
    log.writer.close()
    leftover = open_leftover(log.folder, FakeClock())
    assert leftover is not None
    assert (leftover.about.url, leftover.first, leftover.reader.last_seq) == ("http://x", 1, 3)
    assert open_leftover(log.folder, FakeClock()) is None
    leftover.remove()
    assert not log.folder.exists()


def test_a_journal_being_made_is_no_leftover_and_one_never_finished_is_removed_after_an_hour(log):
    unfinished = log.folder.with_name(ID + ".new")
    unfinished.mkdir(parents=True)
    (unfinished / "lock").touch()
    assert leftover_folders(log.folder.parent) == []
    remove_abandoned(log.folder.parent)
    assert unfinished.exists()
    os.utime(unfinished, (1, 1))
    remove_abandoned(log.folder.parent)
    assert not unfinished.exists()
    assert log.add()
    assert [path.name for path in log.folder.parent.iterdir()] == [ID]


def test_what_is_no_journal_is_left_alone_wherever_the_root_is(log):
    root = log.folder.parent
    for name in ("Documents", "Documents.new", ID + "x", ID + ".new.set-aside"):
        (root / name).mkdir(parents=True)
        (root / name / "00000001.log").write_text("mine")
        os.utime(root / name, (1, 1))
    assert leftover_folders(root) == []
    remove_abandoned(root)
    assert len(list(root.glob("*/00000001.log"))) == 4


def test_a_writer_that_comes_back_goes_on_behind_what_is_there(log):
    log.add(3)
    log.writer.close()
    again = Log(log.folder)
    again.seq = 3
    again.add(3)
    assert again.seqs() == [1, 2, 3, 4, 5, 6]
    again.writer.close()


@pytest.mark.parametrize(
    "header",
    [
        HEADER.pack(MAGIC, VERSION + 1, uuid.UUID(ID).bytes, 0),
        HEADER.pack(MAGIC, VERSION, bytes(16), 0),
        b"my own notes",
    ],
)
def test_a_segment_of_another_version_or_another_owner_is_not_read(tmp_path, header):
    (tmp_path / segment_name(1)).write_bytes(header + bytes(1000))
    reader = JournalReader(tmp_path, ID, FakeClock())
    with pytest.raises(ForeignJournal):
        reader.read(0, 100, 100)


@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": "x"},
        {"origin": "parent"},
        {"start": {"pid": None}},
        {"start": {"pid": -1}},
        {"start": []},
    ],
)
def test_a_journal_that_nobody_could_deliver_is_set_aside_and_stands_before_no_other(log, changes):
    log.add(1)
    log.writer.close()
    about = log.folder / "session.json"
    about.write_bytes(msgspec.json.encode(msgspec.json.decode(about.read_bytes()) | changes))
    other = Log(log.folder.with_name(ID[:-1] + "2"), session_id=ID[:-1] + "2")
    other.add(1)
    other.writer.close()
    told: list[str] = []
    (found,) = leftovers(log.folder.parent, FakeClock(), told.append)
    found.close()
    assert (found.folder, len(told)) == (other.folder, 1)
    assert sorted(path.name for path in log.folder.parent.iterdir()) == [f"{ID}.set-aside", other.folder.name]


def test_a_journal_that_was_left_and_is_being_delivered_is_no_reason_to_complain(log):
    log.add(1)
    log.writer.close(after_the_end=True)
    leftover = open_leftover(log.folder, FakeClock())
    assert leftover is not None
    assert not log.add(1)
    assert log.writer.complaint is None
    leftover.close()
    deadline = time.monotonic() + 4
    while not log.add(1) and time.monotonic() < deadline:
        time.sleep(0.05)
        log.writer.retry()
    assert log.seqs() == [1, 2]


def test_in_what_is_left_after_the_end_nobody_misses_one(tmp_path):
    """The end may be with the server already, and gone from the journal."""
    about = About(VERSION, ID, "http://x", msgspec.Raw(b'{"type":"start"}'), says_goodbye=True)
    writer = JournalWriter(tmp_path / ID, about, room=10**6)
    writer.write("event", 9, b'{"seq":9,"time":1,"type":"event","name":"late"}\n', 1)
    writer.close(after_the_end=True)
    leftover = open_leftover(tmp_path / ID, FakeClock())
    assert leftover is not None
    assert last_words(leftover) is None
    leftover.close()


def test_the_oldest_metrics_go_first_and_then_the_oldest_of_all_but_never_start_and_end(log):
    log.add(kind="start")
    log.add(100, kind="event")
    log.add(30_000, kind="metric")
    log.add(30_000, kind="event")
    log.add(kind="end")
    log.add(60_000, kind="event")
    before = used_bytes(log.folder.parent)

    freed = log.reader.sweep(1_000_000, ("metric",), 0)
    assert freed >= 1_000_000
    assert used_bytes(log.folder.parent) <= before - freed + 100_000
    assert log.reader.dropped.keys() == {"metric"}

    log.reader.sweep(10**9, ("metric",), 0)
    records = log.records()
    kinds = [each["type"] for each in records if each["type"] not in ("event", "loss")]
    assert kinds == ["start", "end"]
    assert [seq for each in records for seq in range(each.get("first", each["seq"]), each["seq"] + 1)] == list(range(1, log.seq + 1))  # fmt: skip
    counted = [each["counts"] for each in records if each["type"] == "loss"]
    assert sum(sum(each.values()) for each in counted) == sum(log.reader.dropped.values())
    assert records[-1]["type"] == "event"


def test_leftovers_that_have_nothing_to_give_are_not_looked_at_for_half_a_minute(log, monkeypatch):
    log.add(1)
    log.writer.close()
    own = Log(log.folder.with_name(ID[:-1] + "2"), session_id=ID[:-1] + "2")
    looked = []

    def noting(look):
        def note(*args):
            looked.append(look)
            return look(*args)

        return note

    monkeypatch.setattr(budget, "open_leftover", noting(open_leftover))
    monkeypatch.setattr(budget, "used_bytes", noting(used_bytes))
    clock = FakeClock()
    full = budget.Budget(log.folder.parent, 64 * 1024, ("metric",), clock)
    assert [full.room(0, own.reader, 0) for _ in range(5)] == [0] * 5
    assert len(looked) == 2
    clock.advance(31)
    assert full.room(0, own.reader, 0) == 0
    assert len(looked) == 4
    (log.segments()[0]).unlink()
    assert full.room(0, own.reader, 1) > 0  # the server has taken something, so there may be room
    assert len(looked) == 5


def test_after_a_sweep_reading_goes_on_where_it_was(log):
    log.add(1000, kind="event")
    log.seqs()
    log.reader.release(500)
    log.add(30_000, kind="metric")
    log.reader.sweep(10**9, (), 500)
    found = log.reader.read(500, 10**9, 10**9)
    assert found[0].first == 501
    assert all(later.first == earlier.seq + 1 for earlier, later in itertools.pairwise(found))
    assert found[-1].seq == log.seq


def test_the_page_about_the_journal_has_the_options_kinds_and_layout_of_the_code():
    page = (Path(__file__).parents[3] / "docs/reference/journal.md").read_text()
    for option in ("journal", "max_journal_bytes", "drop_first", "max_buffer_bytes", "exit_timeout"):
        assert f"| `{option}` | " in page
        default = getattr(Options(), option)
        assert str(default).replace("'", '"') in page
    assert ", ".join(f"{number} {kind}" for number, kind in enumerate(KINDS) if kind) in page
    layout = (journal.__doc__ or "").partition("::\n\n")[2].partition("\n\n``kind``")[0]
    for line in layout.splitlines():
        if line.strip() and "<root>" not in line and "held by" not in line:
            assert line.strip() in page, line


def test_a_journal_that_could_not_be_begun_is_not_held_against_itself(log, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert not log.add()
    assert "No space left" in log.writer.complaint
    log.writer._retry_at = 0.0
    log.writer.retry()
    assert log.add()
    assert log.seqs() == [1]


def test_a_journal_is_begun_without_what_tells_that_its_program_is_alive_where_that_cannot_be(
    log, monkeypatch
):
    write = Path.write_bytes

    def refuse(path, content):
        if path.name == "alive":
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert log.add()
