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

# It is the program that ends the wait of ours, and ours hears of that before the program can look whom it met.
BOTH_WAIT = """
import os, subprocess
from datacat.client import children

def wait(own=os.wait):
    ended = own()
    if ended[0] == ours.pid:
        children.wait(ours)
    return ended

os.wait = wait
ours = children.start(["true"], stdin=0, pass_fds=())
os.waitid(os.P_PID, ours.pid, os.WEXITED | os.WNOWAIT)
theirs = subprocess.Popen(["sleep", "0.1"])
print(os.wait()[0] == theirs.pid)
print(os.wait is wait)
"""


def said(program):
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="there is no watchdog elsewhere")
def test_a_program_that_waits_for_any_child_meets_its_own_alone():
    assert said(PROGRAM) == [*["True", "no other"] * 5, "True"]


@pytest.mark.skipif(sys.platform != "linux", reason="there is no watchdog elsewhere")
def test_a_program_that_waits_while_ours_ends_meets_its_own_alone():
    assert said(BOTH_WAIT) == ["True", "True"]
