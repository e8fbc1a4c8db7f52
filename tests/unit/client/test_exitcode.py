import subprocess
import sys

import pytest

from datacat.client.exitcode import Leaving

PROGRAM = """
import atexit, os, sys
from datacat.client import exitcode
exitcode.listen(lambda code: print("at once", code, flush=True))
atexit.register(lambda: print(exitcode.left_with(), flush=True))
"""


def said(code):
    done = subprocess.run([sys.executable, "-c", PROGRAM + code], capture_output=True, text=True, check=False)
    return done.stdout.strip(), done.returncode


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("sys.exit(3)", ("Left(code=3, words='')", 3)),
        ("sys.exit()", ("Left(code=0, words='')", 0)),
        ("sys.exit('a message')", ("Left(code=1, words='a message')", 1)),
        ("sys.exit(-1)", ("Left(code=255, words='')", 255)),
        ("try: sys.exit(3)\nexcept SystemExit as e: sys.exit(e)", ("Left(code=3, words='')", 3)),
        ("try: sys.exit(3)\nexcept SystemExit as e: e.code = 7; raise", ("Left(code=7, words='')", 7)),
        ("", ("None", 0)),
    ],
)
def test_the_code_that_sys_exit_was_given_is_known_at_exit(code, expected):
    assert said(code) == expected


def test_an_exit_that_somebody_caught_is_none():
    assert said("try: sys.exit(3)\nexcept SystemExit as error: assert error.code == 3") == ("None", 0)


def test_a_code_that_was_only_looked_at_is_not_left_with():
    assert said("try: sys.exit(3)\nexcept SystemExit as error: (error.code, error.args, str(error))") == (
        "None",
        0,
    )


def test_leaving_at_once_is_told_and_done():
    assert said("os._exit(5)") == ("at once 5", 5)


def test_what_is_no_number_is_no_exit():
    assert said("try: os._exit('words')\nexcept TypeError: pass") == ("None", 0)


def test_what_sys_exit_raises_is_a_system_exit_like_any():
    with pytest.raises(SystemExit) as caught:
        raise Leaving(3)
    assert (caught.value.code, caught.value.args, str(caught.value)) == (3, (3,), "3")


LOOKED_AT = """
import copy, os, pickle, sys, traceback
for function in sys.exit, os._exit:
    print(pickle.loads(pickle.dumps(function)) is function, function.__name__, function.__doc__)
for given in (), (None,), (3,), ("words",), ((1, 2),):
    try:
        sys.exit(*given)
    except SystemExit as error:
        print(repr(error), error.args, error.code, traceback.format_exception_only(error))
        print(type(error) == SystemExit, SystemExit != type(error), type(error) in {SystemExit, KeyError})
        for other in pickle.loads(pickle.dumps(error)), copy.copy(error):
            print(type(other), other.args, other.code)
"""


def test_what_is_stood_in_for_looks_as_it_would_without_us():
    without = subprocess.run([sys.executable, "-c", LOOKED_AT], capture_output=True, text=True, check=True)
    assert said(LOOKED_AT + "os._exit(0)")[0] == f"{without.stdout}at once 0"
