"""The REST API, from the OpenAPI document that the service itself answers with."""

import json
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from docs.generate.markdown import code, described, number, table
from msgspec import Struct

from datacat.server.settings import Settings
from datacat.server.wiring import build

Json = Mapping[str, Any]

HOMES: Final = ("datacat.api", "datacat.query", "datacat.grafana", "datacat.wire", "datacat.model.records")
"""Where the structs of answers are at home; elsewhere others have the same names."""

METHODS: Final = ("get", "post", "put", "patch", "delete")


def render(document: Json, docstrings: Mapping[str, str]) -> str:
    """A section for each tag, with each of its calls; then what the answers are made of.

    Args:
        document: the OpenAPI document.
        docstrings: what is said of each schema.
    """
    sections = []
    for tag in document["tags"]:
        words = described(tag.get("description"), f"the tag {tag['name']}", "in the OpenAPI configuration")
        sections.append(f"## {tag['name'].capitalize()}\n\n{words}")
        sections += [
            call(method, path, each)
            for path, method, each in operations(document)
            if tag["name"] in each.get("tags", [])
        ]
    sections.append("## What answers are made of")
    for name, each in sorted(document["components"]["schemas"].items()):
        words = described(docstrings.get(name), name, "as its docstring")
        sections.append(schema(name, each, words))
    return "\n\n".join(sections)


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Every call: its path, its method and what is said of it."""
    for path, methods in sorted(document["paths"].items()):
        for method in METHODS:
            if method in methods:
                yield path, method, methods[method]


def call(method: str, path: str, said: Json) -> str:
    """A section about one call."""
    what = f"{method.upper()} {path}"
    parts = [f"### {what}", described(said.get("description"), what, "as its handler's docstring")]
    if rows := [_parameter(what, each) for each in said.get("parameters", []) if each["in"] != "path"]:
        parts.append(table(["parameter", "may be", "default", "meaning"], rows))
    for media, body in said.get("requestBody", {}).get("content", {}).items():
        parts.append(_body(media, body))
    answers, problems = [], []
    for status, answer in sorted(said["responses"].items()):
        if status < "400":
            answers.append(_answer(answer))
        else:
            problems.append(f"[{status}](errors.md)")
    parts.append(
        f"**Answers** {'; '.join(answers)}"
        + (f" **Refuses** with {', '.join(problems)}." if problems else "")
    )
    return "\n\n".join(parts)


def _parameter(what: str, said: Json) -> tuple[str, str, str, str]:
    words = described(
        said.get("description"), f"{said['name']} of {what}", "as description=… of its parameter"
    )
    given = said["schema"]
    where = "" if said["in"] == "query" else f" ({said['in']})"
    default = "must be given" if said.get("required") else code(_word(given.get("default")))
    return code(said["name"]) + where, kind(given), default, words


def _body(media: str, said: Json) -> str:
    lines = [f"**Takes** {code(media)}"]
    given = said["schema"]
    if properties := given.get("properties"):
        needed = given.get("required", [])
        rows = [
            [code(name), kind(each) + (" (must be given)" if name in needed else "")]
            for name, each in properties.items()
        ]
        lines.append(table(["field", "may be"], rows))
    for example in said.get("examples", {}).values():
        value = example["value"]
        text = value.rstrip() if isinstance(value, str) else json.dumps(value)
        lines.append(f"```json\n{text}\n```")
    return "\n\n".join(lines)


def _answer(said: Json) -> str:
    words = described(said.get("description"), "an answer", "in the handler's responses").rstrip(".")
    kinds = {kind(body["schema"]) for body in said.get("content", {}).values() if body.get("schema")}
    return f"{', '.join(sorted(kinds))}: {words}." if kinds - {""} else f"{words}."


def schema(name: str, said: Json, words: str) -> str:
    """A section about one object."""
    needed = said.get("required", [])
    rows = [
        [code(each), kind(of) + ("" if each in needed else " (may be missing)")]
        for each, of in said.get("properties", {}).items()
    ]
    return f"({_anchor(name)})=\n### {code(name)}\n\n{words}\n\n{table(['field', 'is'], rows)}"


def _anchor(name: str) -> str:
    return f"schema-{name.lower()}"


def kind(given: Json) -> str:
    """What a JSON schema lets through, for people.

    >>> kind({"oneOf": [{"type": "integer"}, {"type": "null"}], "minimum": 1}), kind({"enum": ["a", "b"]})
    ('integer from 1, or null', '`a`, `b`')
    """
    if reference := given.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})"
    if "enum" in given:
        return ", ".join(code(_word(each)) for each in given["enum"])
    if "const" in given:
        return code(_word(given["const"]))
    bounds = _bounds(given)
    for key in ("oneOf", "anyOf"):
        if key in given:
            first, *others = [kind(each) for each in given[key]]
            return ", or ".join([first + bounds, *others])
    name = given.get("type", "any JSON value")
    if isinstance(name, list):
        return ", or ".join(name)
    if name == "array":
        return f"array of {kind(given.get('items', {}))}{bounds}"
    if (
        name == "object"
        and isinstance(given.get("additionalProperties"), dict)
        and given["additionalProperties"]
    ):
        return f"object of {kind(given['additionalProperties'])}"
    return f"{name}{bounds}"


def _bounds(given: Json) -> str:
    words = {
        "minimum": "from {}", "maximum": "to {}", "minLength": "of at least {} characters",
        "maxLength": "of at most {} characters", "maxItems": "of at most {}",
    }  # fmt: skip
    return "".join(f" {text.format(number(given[key]))}" for key, text in words.items() if key in given)


def _word(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


@cache
def document() -> Json:
    """The document of the whole service, which opens no database for it."""
    with warnings.catch_warnings():
        # In which style a handler declares what it takes is no concern of whoever reads about it.
        warnings.simplefilter("ignore", DeprecationWarning)
        found: Json = build(Settings()).app.openapi_schema.to_schema()
    return found


def docstrings(root: type[Struct] = Struct) -> dict[str, str]:
    """What the structs of the code say of themselves, by their names."""
    found = {}
    for each in root.__subclasses__():
        if each.__module__.startswith(HOMES) and each.__doc__:
            found[each.__name__] = each.__doc__
        found |= docstrings(each)
    return found


def generate() -> str:
    """Of the calls that there are."""
    answered = document()  # first: it loads what has the docstrings
    return render(answered, docstrings())
