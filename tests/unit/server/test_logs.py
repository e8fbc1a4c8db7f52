"""What the log looks like, to people and to programs."""

import io
import json
import logging

import pytest

from datacat.server.logs import configure


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def root():
    """The root logger, as it was."""
    logger = logging.getLogger()
    before = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:], level = before
    logger.setLevel(level)


def test_a_program_reads_an_object_a_line_with_the_traceback_in_it(root):
    stream = io.StringIO()
    configure("info", "json", stream)
    logging.getLogger("datacat.x").debug("not said")
    try:
        1 / 0  # noqa: B018  # it is to fail
    except ZeroDivisionError:
        logging.getLogger("datacat.x").exception("commit of %d batches failed", 3)
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"], said["logger"]) == (
        "commit of 3 batches failed",
        "error",
        "datacat.x",
    )
    assert said["exception"][0]["exc_type"] == "ZeroDivisionError"


def test_no_variable_of_a_frame_gets_into_the_log(root):
    stream = io.StringIO()
    configure("info", "json", stream)
    try:
        key = "datacat_" + "secret"
        int(key[:0])
    except ValueError:
        logging.getLogger("datacat.x").exception("failed")
    assert "datacat_secret" not in stream.getvalue()
    assert (
        json.loads(stream.getvalue())["exception"][0]["frames"][0]["name"]
        == "test_no_variable_of_a_frame_gets_into_the_log"
    )


def test_a_person_reads_lines_in_colours_on_a_terminal_alone(root):
    for stream, coloured in ((io.StringIO(), False), (Terminal(), True)):
        configure("info", "console", stream)
        logging.getLogger("datacat.x").warning("the disk is full")
        assert "the disk is full" in stream.getvalue()
        assert ("\x1b[" in stream.getvalue()) is coloured
