"""The error codes, from ``datacat.wire.problem``, and the exceptions, from ``datacat.model.errors``."""

from collections.abc import Mapping

from docs.generate.markdown import code, described, table

from datacat.model.errors import DatacatError
from datacat.wire.problem import CODES


def render(codes: Mapping[str, tuple[int, str]]) -> str:
    """A row for each code, by status."""
    return table(
        ["status", "code", "meaning"],
        (
            (str(status), code(name), described(title, name, "in CODES"))
            for name, (status, title) in sorted(codes.items(), key=lambda item: item[1][0])
        ),
    )


def render_exceptions(root: type[Exception], level: int = 0) -> str:
    """The tree of exceptions as a nested list."""
    words = described(root.__doc__, root.__name__, "as its docstring").split("\n\n")[0]
    line = f"{'  ' * level}- {code(root.__name__)}: {' '.join(words.split())}"
    return "\n".join([line, *(render_exceptions(each, level + 1) for each in root.__subclasses__())])


def generate() -> str:
    """Of the codes that there are."""
    return render(CODES)


def generate_exceptions() -> str:
    """Of the exceptions that there are."""
    return render_exceptions(DatacatError)
