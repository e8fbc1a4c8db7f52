"""The commands, from the tree that Typer builds of ``datacat.cli.app``."""

from collections.abc import Iterator

import typer.main
from docs.generate.markdown import code, described, table
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from datacat.cli.app import app

Command = TyperCommand | TyperGroup
Parameter = TyperArgument | TyperOption


def render(root: Command) -> str:
    """A section for each command."""
    sections = []
    for path, command in leaves(root, root.name or "datacat"):
        words = described(command.help, path, "as its function's docstring")
        parameters = [each for each in command.params if isinstance(each, Parameter)]
        usage = " ".join(
            [path, "[OPTIONS]", *(_place(each) for each in parameters if isinstance(each, TyperArgument))]
        )
        sections.append(f"## `{path}`\n\n{words}\n\n```text\n{usage}\n```")
        if parameters:
            rows = [row(path, each) for each in parameters]
            sections[-1] += "\n\n" + table(["parameter", "default", "meaning"], rows)
    return "\n\n".join(sections)


def leaves(command: object, path: str) -> Iterator[tuple[str, TyperCommand]]:
    """Every command that does something, with the words that call it."""
    if isinstance(command, TyperGroup):
        for name, each in command.commands.items():
            yield from leaves(each, f"{path} {name}")
    elif isinstance(command, TyperCommand) and not command.hidden:
        yield path, command


def row(path: str, parameter: Parameter) -> tuple[str, str, str]:
    """What there is to say of a parameter: how it is written, its default, and what it means."""
    written = (
        _place(parameter)
        if isinstance(parameter, TyperArgument)
        else ", ".join([*parameter.opts, *parameter.secondary_opts])
    )
    words = described(parameter.help, f"{written} of {path}", "as help=… where it is declared")
    text, _, told = words.partition("[default: ")
    default = told.removesuffix("]") or _default(parameter)
    if isinstance(parameter.envvar, str):
        default = f"{code(parameter.envvar)}, else {default}"
    return code(written), default, text.strip()


def _place(argument: TyperArgument) -> str:
    if argument.metavar:
        return str(argument.metavar)
    name = (argument.name or "").upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _default(parameter: Parameter) -> str:
    value = parameter.default
    if parameter.required:
        return "must be given"
    if value is None or value == () or callable(value):
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return code(value)


def generate() -> str:
    """Of the commands that there are."""
    return render(typer.main.get_group(app))
