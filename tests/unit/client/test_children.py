import subprocess
import sys

import pytest

# In a process of its own: that of the tests has children which are nobody's to wait for here.
PROGRAM = """
import os, subprocess
from datacat.client import children

own = os.wait, os.waitpid
waits = [
    lambda: os.wait()[0],
    lambda: os.wait3(0)[0],
    lambda: os.wait4(pid=-1, options=0)[0],
    lambda: os.waitpid(-1, os.WNOHANG)[0],
    lambda: os.waitid(os.P_ALL, 0, os.WEXITED).si_pid,
]
for wait in waits:
    ours = children.start(["true"], stdin=0, pass_fds=())
    theirs = subprocess.Popen(["true"])
    for child in ours, theirs:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    print(wait() == theirs.pid)
    try:
        wait()
    except ChildProcessError:
        print("no other")
    children.wait(ours)
print((os.wait, os.waitpid) == own)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there is no watchdog elsewhere")
def test_a_program_that_waits_for_any_child_meets_its_own_alone():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split("\n") == [*["True", "no other"] * 5, "True", ""], done.stderr
