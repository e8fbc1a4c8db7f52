import os
import sys
import threading

import pytest

from datacat.client import pulse
from datacat.client.pulse import Pulse, PulseReader

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="shared without a file only on Linux")


@pytest.fixture
def shared():
    shared = Pulse(shared=True)
    yield shared
    shared.close()


def reader_of(shared):
    return PulseReader(os.dup(shared.file))


def test_a_beat_is_seen_from_outside(shared):
    slot = shared.slot("größe", 1.0, timeout=60, check_interval=5)
    outside = reader_of(shared)
    slot[pulse.LAST_BEAT] = 7.5
    assert outside.slots()["größe"][: pulse.LAST_BEAT + 1] == (pulse.WATCHED, 60, 5, 7.5)


def test_a_slot_that_is_free_is_taken_again(shared):
    slots = [shared.slot(str(n), 1.0, 60, 5) for n in range(pulse.SLOTS)]
    slots[3][pulse.STATE] = pulse.FREE
    shared.slot("again", 2.0, 60, 5)
    names = list(reader_of(shared).slots())
    assert names[3] == "again"
    assert len(names) == pulse.SLOTS


def test_monitors_that_begin_at_once_have_a_slot_each():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(100):
            own = Pulse(shared=False)
            names = [f"loop {n}" for n in range(8)]
            threads = [threading.Thread(target=own.slot, args=(name, 1.0, 2.0, 3.0)) for name in names]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert (
                len([n for n in range(0, pulse.GOODBYE, pulse.SLOT) if own._numbers[n] == pulse.WATCHED]) == 8
            )
    finally:
        sys.setswitchinterval(before)


def test_where_no_slot_is_free_the_beats_still_have_a_place(shared):
    for n in range(pulse.SLOTS):
        shared.slot(str(n), 1.0, 60, 5)
    late = shared.slot("late", 1.0, 60, 5)
    late[pulse.LAST_BEAT] = 9.0
    assert "late" not in reader_of(shared).slots()


def test_nobody_can_cut_the_memory_short(shared):
    with pytest.raises(PermissionError):
        os.ftruncate(shared.file, 0)


def test_a_name_too_long_is_cut_and_not_written_over_the_next(shared):
    shared.slot("ä" * 200, 1.0, 60, 5)
    shared.slot("b", 1.0, 60, 5)
    first, second = reader_of(shared).slots()
    assert first.startswith("ä" * 50)
    assert second == "b"
