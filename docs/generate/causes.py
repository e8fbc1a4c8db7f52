"""How a program can go, from ``datacat.model.causes``: a table, and which word is heard over which."""

from collections.abc import Callable, Sequence

from docs.generate.drawing import Drawing
from docs.generate.markdown import code, described, table
from docs.generate.source import Constant, constants

from datacat.model import causes


def words_of(found: Sequence[Constant]) -> list[Constant]:
    """The causes among a module's constants: those whose value is a word."""
    return [each for each in found if isinstance(each.value, str)]


def render(found: Sequence[Constant], goodbyes: frozenset[str]) -> str:
    """A row for each cause."""
    return table(
        ["cause", "status", "what happened"],
        (
            (
                code(each.value),
                "ended" if each.value in goodbyes else "crashed",
                described(each.words, each.name, "below it"),
            )
            for each in found
        ),
    )


def levels(words: Sequence[str], says_more: Callable[[str, str], bool]) -> list[list[str]]:
    """The words that say most first; of those beside each other none says more.

    >>> levels(["a", "bb", "cc"], lambda one, other: len(one) > len(other))
    [['bb', 'cc'], ['a']]
    """
    weight = {word: sum(says_more(word, other) for other in words) for word in words}
    return [
        [word for word in words if weight[word] == level]
        for level in sorted(set(weight.values()), reverse=True)
    ]


def draw(rows: Sequence[Sequence[str]]) -> str:
    """The levels below each other."""
    drawing = Drawing(
        640, 16 + 64 * len(rows), "Which cause is heard over which: those that say more stand higher"
    )
    for index, row in enumerate(rows):
        y = 36 + 64 * index
        for place, word in enumerate(row):
            drawing.box(330 + 152 * (place - (len(row) - 1) / 2), y, 144, 34, word)
    if len(rows) > 1:
        drawing.arrow((14, 52 + 64 * (len(rows) - 1)), (14, 20))
        drawing.text(26, 30, "says more", anchor="start", look="quiet")
    return drawing.svg()


def generate() -> str:
    """Of the causes that there are."""
    return render(words_of(constants(causes)), causes.GOODBYES)


def generate_picture() -> str:
    """Of the causes that there are."""
    words = [each.value for each in words_of(constants(causes))]
    return draw(levels(words, lambda one, other: causes.says_more(one, than=other)))
