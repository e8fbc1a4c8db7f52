"""The service's settings, from the struct ``datacat.server.settings.Settings``."""

import msgspec
from docs.generate.markdown import code, described, number, table
from msgspec import NODEFAULT, Struct
from msgspec import inspect as types

from datacat.server.settings import Settings


def render(settings: type[Struct]) -> str:
    """A row for each setting."""
    info = types.type_info(settings)
    assert isinstance(info, types.StructType)
    return table(
        ["flag, variable, TOML key", "default", "may be", "meaning"],
        (
            (
                "<br>".join(map(code, (flag(field), f"DATACAT_{field.name.upper()}", field.name))),
                code(_default(field)),
                may_be(field.type),
                described(_words(field), f"the setting {field.name}", "as Meta(description=…) on its field"),
            )
            for field in info.fields
        ),
    )


def flag(field: types.Field) -> str:
    """The option of ``datacat serve``."""
    return f"--{field.name.replace('_', '-')}"


def may_be(kind: types.Type) -> str:
    """What values a type has, for people.

    >>> may_be(types.LiteralType(("full", "normal"))), may_be(types.IntType(ge=0, le=9)), may_be(types.StrType())
    ('`full`, `normal`', 'a whole number from 0 to 9', 'text')
    """
    match kind:
        case types.Metadata(type=inner):
            return may_be(inner)
        case types.LiteralType(values=values):
            return ", ".join(map(code, values))
        case types.IntType():
            return f"a whole number{_bounds(kind)}"
        case types.FloatType():
            return f"a number{_bounds(kind)}"
        case types.BoolType():
            return "on or off"
        case types.StrType():
            return "text"
        case types.NoneType():
            return "nothing"
        case types.UnionType(types=inner):
            return ", or ".join(may_be(each) for each in inner)
        case types.DictType() | types.RawType():
            return "a JSON object"
        case types.ListType(item_type=item) | types.VarTupleType(item_type=item):
            return f"a list: {may_be(item)}"
        case _:
            return type(kind).__name__.removesuffix("Type").lower()


def _bounds(kind: types.IntType | types.FloatType) -> str:
    words = [
        f" {word} {number(bound)}"
        for word, bound in (("from", kind.ge), ("above", kind.gt), ("to", kind.le), ("below", kind.lt))
        if bound is not None
    ]
    return "".join(words)


def _default(field: types.Field) -> str:
    if field.default is not NODEFAULT:
        value = field.default
    elif field.default_factory is not NODEFAULT:
        value = field.default_factory()
    else:
        return "must be given"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(msgspec.to_builtins(value))


def _words(field: types.Field) -> str:
    schema = field.type.extra_json_schema if isinstance(field.type, types.Metadata) else None
    return str((schema or {}).get("description", ""))


def generate() -> str:
    """Of the settings that there are."""
    return render(Settings)
