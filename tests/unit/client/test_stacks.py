import os
import sys
import threading
import time
from pathlib import Path

import pytest

from datacat.client.stacks import all_stacks


def codes_of(file):
    return [
        frame["code"] for frame in all_stacks(threading.get_ident())[0]["frames"] if frame["file"] == file
    ]


def look_in(file, names):
    exec(compile("def look(): return codes_of(file)\n", file, "exec"), names)
    return names["look"]()


def test_each_frame_has_its_line():
    codes = codes_of(__file__)
    assert "codes = codes_of(__file__)" in codes


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")
def test_source_on_a_disk_that_does_not_answer_is_told_without_its_lines_and_holds_up_nobody(tmp_path):
    file = str(tmp_path / "source.py")
    os.mkfifo(file)
    began = time.monotonic()
    assert look_in(file, {"codes_of": codes_of, "file": file}) == [""]
    other = tmp_path / "other.py"
    other.write_text("def look(): return codes_of(file)\n")
    assert look_in(str(other), {"codes_of": codes_of, "file": str(other)}) == [""], (
        "nobody waits for it again"
    )
    assert time.monotonic() - began < 10
    with Path(file).open("w") as disk:
        disk.write("def look(): return codes_of(file)\n")
    while any(each.name == "datacat-source" for each in threading.enumerate()):
        time.sleep(0.01)
    assert look_in(str(other), {"codes_of": codes_of, "file": str(other)}) == [
        "def look(): return codes_of(file)"
    ]


def test_what_has_no_source_is_told_without_it():
    assert look_in("<made up>", {"codes_of": codes_of, "file": "<made up>"}) == [""]
    assert look_in("/nowhere/at/all.py", {"codes_of": codes_of, "file": "/nowhere/at/all.py"}) == [""]


def test_a_program_that_waits_for_a_child_stands_in_its_own_line():
    file = "/opt/datacat/client/children.py"
    assert look_in(file, {"codes_of": codes_of, "file": file}) == []
