"""The pages that follow from the code: each generator is a pure function from one of its tables to Markdown.

A page asks for one by a comment on a line of its own, ``<!-- generated: limits -->``. Where the page is to
make sense unbuilt too, what stands between that comment and ``<!-- /generated -->`` gives way to it.
What a table does not describe is an error, so nothing new stays out of the documentation.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from docs.generate import api, causes, commands, errors, kinds, layers, limits, settings, silence, status

GENERATORS: Final[dict[str, Callable[[], str]]] = {
    "api": api.generate,
    "causes": causes.generate,
    "causes-picture": causes.generate_picture,
    "commands": commands.generate,
    "errors": errors.generate,
    "exceptions": errors.generate_exceptions,
    "layers-picture": layers.generate,
    "limits": limits.generate,
    "records": kinds.generate,
    "settings": settings.generate,
    "silence-picture": silence.generate,
    "status-picture": status.generate,
}

_MARK: Final = re.compile(
    r"^<!-- generated: (?P<name>\S+) -->\n(?:(?:(?!<!-- generated).*\n)*?<!-- /generated -->\n)?",
    re.MULTILINE,
)


def fill(text: str, generators: Mapping[str, Callable[[], str]] = GENERATORS) -> str:
    r"""A page with its marks replaced.

    >>> fill("# One\n<!-- generated: a -->\n# Two\n", {"a": lambda: "text"})
    '# One\n\ntext\n\n# Two\n'
    >>> fill("<!-- generated: a -->\nunbuilt\n<!-- /generated -->\n", {"a": lambda: "built"})
    '\nbuilt\n\n'

    Raises:
        KeyError: there is no generator of this name.
    """
    return _MARK.sub(lambda mark: f"\n{generators[mark['name']]()}\n\n", text)


def names_in(text: str) -> list[str]:
    """The generators that a page asks for."""
    return [mark["name"] for mark in _MARK.finditer(text)]
