import subprocess
import sys

import pytest

from datacat.client import crashdump

PROGRAM = """
import ctypes, faulthandler, os, sys
from pathlib import Path
from datacat.client import crashdump
def fall_over():
    ctypes.string_at(0)
"""


def run(code, folder):
    command = [sys.executable, "-c", PROGRAM + code, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_the_interpreter_says_when_it_falls_over_is_kept_with_its_stacks(tmp_path):
    done = run("crashdump.listen(Path(sys.argv[1])); fall_over()", tmp_path)
    described = crashdump.describe(crashdump.read(tmp_path))
    assert (described["message"], described["signal_name"]) == ("Segmentation fault", "SIGSEGV")
    assert "in fall_over" in described["dump"]
    assert not done.stderr


def test_a_program_with_a_fault_handler_of_its_own_keeps_it(tmp_path):
    done = run("faulthandler.enable(); crashdump.listen(Path(sys.argv[1])); fall_over()", tmp_path)
    assert "Segmentation fault" in done.stderr
    assert crashdump.read(tmp_path) == ""


def test_a_forked_child_does_not_write_into_its_parents_file(tmp_path):
    code = "crashdump.listen(Path(sys.argv[1]))\nif os.fork() == 0: crashdump.stop(); fall_over()\nos.wait()"
    run(code, tmp_path)
    assert crashdump.read(tmp_path) == ""


def test_who_listened_before_hears_again_when_a_later_session_is_over(tmp_path):
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for folder in (first, second, third):
        folder.mkdir()
    code = """
root = Path(sys.argv[1])
for name in ("first", "second", "third"):
    crashdump.listen(root / name)
crashdump.leave(root / "second")
crashdump.leave(root / "third")
crashdump.leave(root / "third")
fall_over()
"""
    run(code, tmp_path)
    assert "in fall_over" in crashdump.read(first)
    assert crashdump.read(second) == crashdump.read(third) == ""


def test_a_folder_that_is_not_there_is_no_trouble(tmp_path):
    assert run("crashdump.listen(Path(sys.argv[1]) / 'gone')", tmp_path).returncode == 0
    assert crashdump.read(tmp_path / "gone") == ""


@pytest.mark.parametrize("dump", ["", "cut sho", "Fatal Python error: something new"])
def test_a_dump_that_is_not_understood_is_kept_as_it_is(dump):
    assert crashdump.describe(dump)["dump"] == dump
