"""Memory that is given back: what a service that runs for years must ask of the allocator.

glibc gives each thread a heap of its own, and raises, as it runs, the size from which on memory is the system's and
not a heap's. So each thread that once read something large keeps its peak for ever, in pieces: half a megabyte a
minute under load, until every thread has met the largest answer that there is.
"""

import ctypes
from typing import Final

# The names and numbers of malloc.h; bytes.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

_OPTIONS: Final = (
    (_M_ARENA_MAX, 1),
    (_M_MMAP_THRESHOLD, 256 * 1024),
    (_M_TRIM_THRESHOLD, 1024 * 1024),
)


def give_memory_back() -> bool:
    """Have one heap, and large pieces outside of it; whether this system's allocator can be asked.

    To be called before there are threads.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    return all(mallopt(option, value) == 1 for option, value in _OPTIONS)
