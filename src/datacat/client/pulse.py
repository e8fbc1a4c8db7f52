"""The pulse of a program: its heartbeats where another process can read them without asking it.

What must hold:

- **A beat is two stores into memory**: no lock, no system call, whoever calls.
- **Nobody can take the memory away.** A file in the journal could be cut short by anybody, and the
  next beat would kill the program; this one has no name and is sealed.

The layout: numbers of eight bytes (``double``, as this machine writes them), in slots of
:data:`SLOT` numbers. A slot is one heartbeat monitor; its numbers stand at the places below, its
name in UTF-8 from :data:`NAME` on, ended by a zero. Times are seconds of ``time.monotonic()``.
"""

import mmap
import os
import threading
from typing import Final, TypeAlias

STATE: Final = 0
TIMEOUT: Final = 1
CHECK_INTERVAL: Final = 2
LAST_BEAT: Final = 3
LAST_CHECK: Final = 4
"""When the monitor inside the program last looked: while it does, nobody else need."""
REPORTED: Final = 5
"""The beat after which the monitor inside has told of a hang, until it has told its end; 0 for none."""
THREAD: Final = 6
"""``threading.get_ident()`` of whoever beat last."""
NATIVE_THREAD: Final = 7
"""The system's number for the same thread; 0 where it is not known."""
NAME: Final = 8
SLOT: Final = 24
SLOTS: Final = 20

FREE, WATCHED, PAUSED = 0.0, 1.0, 2.0

GOODBYE: Final = SLOT * SLOTS
"""Beyond the slots: whether the program has said how it ends."""
RUNNING, EXITING, ENDED = 0.0, 1.0, 2.0
"""Not yet; it has written an exit; it has said ``end()``, and may live on."""

SIZE: Final = mmap.PAGESIZE
NAME_BYTES: Final = 8 * (SLOT - NAME) - 1
"""Of a longer name the rest is cut off."""

assert (GOODBYE + 1) * 8 <= SIZE

Slot: TypeAlias = "memoryview[float]"
"""The numbers of one monitor."""


class Pulse:
    """The slots of one session.

    Args:
        shared: whether another process is to read them; :attr:`file` is then to be handed to it.
    """

    def __init__(self, *, shared: bool) -> None:
        self.file: int | None = None
        self._memory: mmap.mmap | bytearray = bytearray(SIZE)
        if shared:
            self.file = _sealed_file()
            self._memory = mmap.mmap(self.file, SIZE)
        self._numbers = memoryview(self._memory).cast("d")
        self._choosing = threading.RLock()

    def slot(self, name: str, now: float, timeout: float, check_interval: float) -> Slot:
        """A slot for a monitor that begins to watch now; beyond the last, one that only this process sees."""
        slot = self._free_slot()
        encoded = name.encode("utf-8", "replace")[:NAME_BYTES]
        slot.cast("B")[8 * NAME : 8 * SLOT] = encoded.ljust(8 * (SLOT - NAME), b"\0")
        slot[TIMEOUT], slot[CHECK_INTERVAL] = timeout, check_interval
        slot[LAST_BEAT] = slot[LAST_CHECK] = now
        slot[REPORTED] = slot[THREAD] = slot[NATIVE_THREAD] = 0
        slot[STATE] = WATCHED
        return slot

    def _free_slot(self) -> Slot:
        with self._choosing:
            for start in range(0, SLOT * SLOTS, SLOT):
                if self._numbers[start] == FREE:
                    self._numbers[start] = (
                        PAUSED  # nobody else takes it, and nobody watches it before it is whole
                    )
                    return self._numbers[start : start + SLOT]
        return memoryview(bytearray(8 * SLOT)).cast("d")

    def say_goodbye(self, how: float) -> None:
        """Say from now on that the program has told of its end."""
        self._numbers[GOODBYE] = how

    def close(self) -> None:
        """Hand the file to nobody any more; the slots stay what they are."""
        if self.file is not None:
            os.close(self.file)
            self.file = None


class PulseReader:
    """The slots of another process.

    Args:
        file: its descriptor; closed with the reader.
    """

    def __init__(self, file: int) -> None:
        self._memory = mmap.mmap(file, SIZE, prot=mmap.PROT_READ)
        os.close(file)
        self._numbers = memoryview(self._memory).cast("d")

    def slots(self) -> dict[str, tuple[float, ...]]:
        """The numbers of every slot that is or was in use, by name."""
        found = {}
        for start in range(0, SLOT * SLOTS, SLOT):
            slot = self._numbers[start : start + SLOT]
            name = bytes(slot.cast("B")[8 * NAME :]).split(b"\0", 1)[0].decode("utf-8", "replace")
            # A name that is used again may stand in a later slot than it did.
            if name and (slot[STATE] != FREE or name not in found):
                found[name] = tuple(slot[:NAME])
        return found

    @property
    def goodbye(self) -> float:
        """What the program has said of its end: see :data:`GOODBYE`."""
        return self._numbers[GOODBYE]


def shared_file(name: str) -> int:
    """A file without a name in any directory, to be handed to another process.

    Raises:
        OSError: this system has none.
    """
    if not hasattr(os, "memfd_create"):
        raise OSError("this system has no memory that two processes can share without a file")
    return os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def _sealed_file() -> int:
    import fcntl  # where there is no memfd, there may be no fcntl

    file = shared_file("datacat-pulse")
    os.ftruncate(file, SIZE)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return file
