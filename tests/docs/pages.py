"""The pages of the documentation, and the examples in them."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_DIRECTIVE: Final = re.compile(r"\{code-block\} (\w+)$")
_OPTIONS: Final = re.compile(r"((?::\w+:.*\n)*)\n*")


@dataclass(frozen=True)
class Example:
    """A fenced block: its language, its text, the line where it begins, and the name of the file that it is."""

    language: str
    text: str
    line: int
    file: str = ""


def name_of(page: Path) -> str:
    """How a page is called in a test's name."""
    return page.relative_to(ROOT).as_posix()


def examples(markdown: str) -> list[Example]:
    r"""The fenced blocks of a page; directives that show no code are none.

    >>> examples("```sh\nls\n```\n")
    [Example(language='sh', text='ls\n', line=1, file='')]
    >>> examples("```{code-block} python\n:caption: a.py\n\nprint()\n```\n")
    [Example(language='python', text='print()\n', line=1, file='a.py')]
    """
    found = []
    for token in MarkdownIt().parse(markdown):
        if token.type != "fence":
            continue
        assert token.map is not None
        info, text, file = token.info.strip(), token.content, ""
        if match := _DIRECTIVE.match(info):
            info = match[1]
            options = _OPTIONS.match(text)
            assert options is not None
            text = text[options.end() :]
            file = options[1].strip().removeprefix(":caption: ")
        if not info.startswith("{"):
            found.append(Example(info, text, token.map[0] + 1, file))
    return found
