"""What a program prints for its terminal to do, and not to be read."""

import re
from typing import Final

ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, and what moves the cursor
    r"|\x1b[]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # titles and links
    r"|\x1b[ -/]*[0-~]"  # sets of characters
)
"""ECMA-48 control sequences, and the operating system commands that terminals know."""
