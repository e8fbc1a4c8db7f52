import os
import subprocess
import sys

import pytest

from datacat.client import procfs
from datacat.client.oom import MemoryKills, counter_file, kills

V1 = "4:memory:/jobs/7\n1:cpu:/\n0::/\n"
V2 = "0::/system.slice/editor.service\n"
MOUNTS = (
    "23 1 0:21 / /proc rw shared:5 - proc proc rw\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    "35 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime master:9 - cgroup cgroup rw,memory\n"
)
UNIFIED = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.mark.parametrize(
    ("cgroup", "mounts", "root", "file"),
    [
        (V1, MOUNTS, "/", "/sys/fs/cgroup/memory/jobs/7/memory.oom_control"),
        (V1, MOUNTS, "/jobs", "/sys/fs/cgroup/memory/7/memory.oom_control"),
        (V1, MOUNTS, "/jobs/7", "/sys/fs/cgroup/memory/memory.oom_control"),
        (V2, UNIFIED, "/", "/sys/fs/cgroup/system.slice/editor.service/memory.events"),
        ("0::/\n", UNIFIED, "/", "/sys/fs/cgroup/memory.events"),
        (V1, UNIFIED, "/", None),
        (V1, MOUNTS, "/other", None),
        ("", MOUNTS, "/", None),
        (V2, "", "/", None),
    ],
)
def test_the_counter_is_where_the_group_is_mounted(cgroup, mounts, root, file):
    found = counter_file(cgroup, mounts.format(root=root))
    assert (found and str(found)) == file


@pytest.mark.parametrize(
    ("counters", "number"),
    [
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", 3),
        ("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n", 1),
        ("", 0),
    ],
)
def test_kills_are_counted_in_both_versions_of_control_groups(counters, number):
    assert kills(counters) == number


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has control groups")
def test_a_process_that_has_ended_is_thought_to_be_where_it_was():
    seen = MemoryKills()
    seen.look(os.getpid())
    before = seen._file
    child = subprocess.Popen(["true"])
    while procfs.state(child.pid) != "Z":
        pass
    seen.look(child.pid)
    assert seen._file == before
    child.wait()
