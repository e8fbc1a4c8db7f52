"""What is asked of the allocator, in a process of its own: it cannot be taken back."""

import platform
import subprocess
import sys

import pytest

COUNT_HEAPS = """
import ctypes, sys, tempfile, threading
from datacat.server.memory import give_memory_back

if "ask" in sys.argv:
    assert give_memory_back()
all_there = threading.Barrier(5)

def allocate():
    pieces = [bytes(100_000) for _ in range(20)]
    all_there.wait(30)

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
all_there.wait(30)
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile("r") as told:
    stream = ctypes.c_void_p(libc.fopen(told.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(told.read().count("<heap "))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has a heap for each thread")
def test_threads_share_one_heap():
    heaps = [
        int(
            subprocess.run(
                [sys.executable, "-c", COUNT_HEAPS, *ask], capture_output=True, text=True, check=True
            ).stdout
        )
        for ask in ([], ["ask"])
    ]
    assert heaps[0] > 1
    assert heaps[1] == 1
