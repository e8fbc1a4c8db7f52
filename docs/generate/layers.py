"""The layers as a picture, from import-linter's contract in ``pyproject.toml`` and each package's docstring."""

import importlib
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from docs.generate.drawing import Drawing
from docs.generate.markdown import described

ROOT: Final = Path(__file__).parents[2]


def layers(project: str) -> list[list[str]]:
    """The layers of a ``pyproject.toml``, the highest first; those of one layer know nothing of each other."""
    contracts = tomllib.loads(project)["tool"]["importlinter"]["contracts"]
    (layered,) = (each for each in contracts if each["type"] == "layers")
    return [[name.strip() for name in layer.split("|")] for layer in layered["layers"]]


def draw(found: Sequence[Sequence[str]], words: Mapping[str, str]) -> str:
    """The layers below each other, each package with what it is for."""
    drawing = Drawing(720, 62 * len(found) + 6, "The layers: each imports only what stands below it")
    for index, layer in enumerate(found):
        y = 28 + 62 * index
        width = (210 - 10 * (len(layer) - 1)) / len(layer)
        for place, name in enumerate(layer):
            drawing.box(16 + width / 2 + place * (width + 10), y, width, 36, name)
        if index + 1 < len(found):
            drawing.arrow((121, y + 20), (121, y + 42))
        lines = [line for name in layer for line in textwrap.wrap(_sentence(name, layer, words), 76)]
        for row, line in enumerate(lines):
            drawing.text(244, y + 5 + 17 * (row - (len(lines) - 1) / 2), line, anchor="start", look="quiet")
    return drawing.svg()


def _sentence(name: str, layer: Sequence[str], words: Mapping[str, str]) -> str:
    return words[name] if len(layer) == 1 else f"{name}: {words[name][0].lower()}{words[name][1:]}"


def generate() -> str:
    """Of the layers that hold."""
    found = layers((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    words = {name: _purpose(name) for layer in found for name in layer}
    return draw(found, words)


def _purpose(name: str) -> str:
    package = importlib.import_module(f"datacat.{name}")
    return described(package.__doc__, package.__name__, "as its docstring").split("\n")[0].replace("`", "")
