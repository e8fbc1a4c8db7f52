"""The records, from the structs of ``datacat.model.records``."""

from collections.abc import Sequence
from typing import get_args

from docs.generate.markdown import code, described, table
from docs.generate.settings import may_be
from msgspec import inspect as types

from datacat.model.records import Base, Record


def render(kinds: Sequence[type[Base]]) -> str:
    """A section for each kind of record, with its fields."""
    common = set(Base.__struct_fields__)
    sections = []
    for kind in kinds:
        info = types.type_info(kind)
        assert isinstance(info, types.StructType)
        words = described(kind.__doc__, kind.__name__, "as its docstring")
        sections.append(f"## {code(info.tag)}\n\n{words}")
        if rows := [_row(each) for each in info.fields if each.name not in common]:
            sections[-1] += "\n\n" + table(["field", "may be"], rows)
    return "\n\n".join(sections)


def _row(field: types.Field) -> tuple[str, str]:
    must = " (must be given)" if field.required else ""
    return code(field.encode_name), may_be(field.type) + must


def generate() -> str:
    """Of the records that there are."""
    return render(get_args(Record))
