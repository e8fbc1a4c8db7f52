"""A module's constants, with the docstrings that stand below them."""

import ast
import inspect
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Constant:
    """A public constant; ``words`` is the docstring below it, empty where there is none."""

    name: str
    value: Any
    words: str


def constants(module: ModuleType) -> list[Constant]:
    """The public constants of ``module``, in the order in which they stand."""
    body = ast.parse(inspect.getsource(module)).body
    found = []
    for statement, below in zip(body, [*body[1:], None], strict=True):
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)) if name.isupper() and not name.startswith("_"):
                found.append(Constant(name, getattr(module, name), _words(below)))
    return found


def _words(statement: ast.stmt | None) -> str:
    match statement:
        case ast.Expr(value=ast.Constant(value=str(words))):
            return inspect.cleandoc(words)
    return ""
