"""What a page shows in a terminal, done and compared.

In a block of the language ``console`` a line that begins with ``$`` is a command, ``>`` goes on with it, and what
follows is what it prints: ``...`` stands for anything, nothing shown for whatever it prints. A command succeeds, or says how not
in a comment at its end: ``# exits with 3``. All commands of a page share one shell.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.pages import Example

_ADDRESS: Final = "localhost:8080"
_MARK: Final = "\x1e"


@dataclass(frozen=True)
class Step:
    """A command, what it is to print (None: whatever it likes), its exit code, and its line on the page."""

    command: str
    shown: str | None
    code: int
    line: int


def steps(example: Example) -> Iterator[Step]:
    r"""The commands of an example.

    >>> list(steps(Example("console", "$ echo a \\\n>   b\na b\n$ false  # exits with 1\n", 3)))
    [Step(command='echo a \\\n  b', shown='a b\n', code=0, line=4), Step(command='false  # exits with 1', shown=None, code=1, line=7)]
    """
    if example.language == "python":
        yield Step(f"python - <<'EOF'\n{example.text}EOF", None, 0, example.line)
        return
    for match in re.finditer(r"^\$ (.*\n(?:> ?.*\n)*)((?:(?!\$ ).*\n)*)", example.text, re.MULTILINE):
        command = re.sub(r"^> ?", "", match[1].rstrip("\n"), flags=re.MULTILINE)
        code = re.search(r"# exits with (\d+)$", command)
        line = example.line + 1 + example.text[: match.start()].count("\n")
        yield Step(command, match[2] or None, int(code[1]) if code else 0, line)


def differences(found: Sequence[Example], url: str, folder: Path) -> list[str]:
    """Do what a page shows, in ``folder`` and with the service at ``url``; what is not as it is shown."""
    for example in found:
        if example.file:
            (folder / example.file).write_text(example.text.replace(f"http://{_ADDRESS}", url))
    to_do = [step for example in found if not example.file for step in steps(example)]
    script = "\n".join(f"{step.command}\necho '{_MARK}'$?" for step in to_do)
    done = subprocess.run(
        ["bash", "-c", script.replace(f"http://{_ADDRESS}", url).replace(_ADDRESS, url.removeprefix("http://"))],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100,
        cwd=folder, env=_environment(url), check=False,
    )  # fmt: skip
    told = re.findall(rf"(.*?){_MARK}(\d+)\n", done.stdout, re.DOTALL)
    assert len(told) == len(to_do), f"the shell ended early: {done.stdout}"
    return [
        f"line {step.line}: {step.command}\n  exits with {code}, prints:\n{printed}"
        for step, (printed, code) in zip(to_do, told, strict=True)
        if int(code) != step.code or not _fits(printed, step.shown, url)
    ]


def _fits(printed: str, shown: str | None, url: str) -> bool:
    if shown is None:
        return True
    wanted = re.escape(shown.replace(f"http://{_ADDRESS}", url).strip()).replace(re.escape("..."), ".*")
    return re.fullmatch(wanted, _trimmed(printed), re.DOTALL) is not None


def _trimmed(printed: str) -> str:
    return "\n".join(line.rstrip() for line in printed.splitlines()).strip()


def _environment(url: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DATACAT_")}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        "COLUMNS": "110",
        "DATACAT_URL": url,
        "DATACAT_JOURNAL_DIR": os.environ["DATACAT_JOURNAL_DIR"],
    }
