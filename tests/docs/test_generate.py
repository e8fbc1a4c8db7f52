"""What is generated follows from the code, and lacks nothing of it."""

import re
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest
import typer
import typer.main
from docs.generate import (
    GENERATORS,
    api,
    causes,
    commands,
    errors,
    fill,
    kinds,
    layers,
    limits,
    names_in,
    settings,
)
from docs.generate import silence as silences
from docs.generate import status as statuses
from docs.generate.markdown import Undescribed
from docs.generate.source import Constant, constants
from msgspec import Meta, Struct
from tests.docs.pages import PAGES

import datacat
from datacat.cli.app import app
from datacat.client.silence import Hung, Recovered
from datacat.model import causes as cause_words
from datacat.model import limits as limit_values
from datacat.model.errors import DatacatError
from datacat.model.lifecycle import FINAL, TRANSITIONS, Status, Trigger
from datacat.server.settings import Settings
from datacat.wire.problem import CODES

ROOT = Path(__file__).parents[2]


def all_pages() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_every_generator_is_asked_for_by_a_page_and_no_page_asks_for_another():
    assert set(names_in(all_pages())) == set(GENERATORS)


def test_a_page_that_asks_for_something_unknown_is_an_error():
    with pytest.raises(KeyError, match="weather"):
        fill("<!-- generated: weather -->\n")


def test_what_stands_for_the_unbuilt_page_does_not_swallow_the_next_mark():
    page = "<!-- generated: a -->\ntext\n<!-- generated: b -->\nunbuilt\n<!-- /generated -->\nend\n"
    assert fill(page, {"a": lambda: "A", "b": lambda: "B"}) == "\nA\n\ntext\n\nB\n\nend\n"


def test_every_limit_is_there_with_its_value():
    page = limits.generate()
    for name in dir(limit_values):
        if name.startswith("MAX_"):
            assert f"| `{name}` | {limits.amount(name, getattr(limit_values, name))} |" in page


def test_a_limit_that_nobody_describes_is_an_error():
    with pytest.raises(Undescribed, match="MAX_NOISE"):
        limits.render([Constant("MAX_NOISE", 7, "")])


def test_a_constant_has_the_docstring_below_it_and_no_other(tmp_path, monkeypatch):
    (tmp_path / "measures.py").write_text(
        'from typing import Final\nA: Final = 1\nB: Final = 2\n"""Of B."""\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    measures = __import__("measures")
    assert isinstance(measures, ModuleType)
    assert constants(measures) == [Constant("A", 1, ""), Constant("B", 2, "Of B.")]


def test_every_code_is_there_with_its_status():
    page = errors.generate()
    for code, (status, title) in CODES.items():
        assert f"| {status} | `{code}` | {title} |" in page


def test_a_code_that_nobody_describes_is_an_error():
    with pytest.raises(Undescribed, match="too_loud"):
        errors.render({"too_loud": (422, "")})


def test_every_exception_is_there():
    page = errors.generate_exceptions()
    waiting = [DatacatError]
    while waiting:
        each = waiting.pop()
        assert f"- `{each.__name__}`: " in page
        waiting += each.__subclasses__()


def test_every_setting_is_there_as_flag_variable_and_key():
    page = settings.generate()
    for name in Settings.__struct_fields__:
        assert f"| `--{name.replace('_', '-')}`<br>`DATACAT_{name.upper()}`<br>`{name}` |" in page


def test_a_setting_that_nobody_describes_is_an_error():
    class Loudness(Struct):
        volume: int = 11

    with pytest.raises(Undescribed, match="volume"):
        settings.render(Loudness)


def test_a_setting_may_be_nothing_or_several():
    class Several(Struct):
        names: Annotated[list[str], Meta(description="Names.")] = []
        limit: Annotated[int | None, Meta(description="A limit.")] = None

    page = settings.render(Several)
    assert "| `--names`<br>`DATACAT_NAMES`<br>`names` | `[]` | a list: text | Names. |" in page
    assert "a whole number, or nothing | A limit. |" in page


def test_every_command_is_there_with_every_option():
    page = commands.generate()
    sections = dict(re.findall(r"^## `datacat ([^`]+)`\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    root = typer.main.get_group(app)
    for path, command in commands.leaves(root, "datacat"):
        section = sections.pop(path.removeprefix("datacat "))
        for parameter in command.params:
            names = parameter.opts if parameter.param_type_name == "option" else []
            assert all(name in section for name in names), (path, names)
    assert not sections


@pytest.mark.parametrize("words", [("", "How loud."), ("Make noise.", None)])
def test_a_command_or_an_option_that_nobody_describes_is_an_error(words):
    noisy = typer.Typer(name="noisy")

    @noisy.callback()
    def root() -> None:
        """Noise."""

    @noisy.command(help=words[0])
    def shout(volume: int = typer.Option(11, help=words[1])) -> None:
        pass

    with pytest.raises(Undescribed, match="noisy shout"):
        commands.render(typer.main.get_group(noisy))


def test_every_call_of_the_service_is_there_and_so_is_all_that_it_answers():
    page = api.generate()
    document = api.document()
    for path, method, _ in api.operations(document):
        assert f"### {method.upper()} {path}\n" in page
    for name in document["components"]["schemas"]:
        assert f"### `{name}`" in page


def test_a_call_or_a_parameter_that_nobody_describes_is_an_error():
    silent: dict[str, Any] = {"responses": {}}
    with pytest.raises(Undescribed, match="GET /noise"):
        api.call("get", "/noise", silent)
    loud = {"name": "volume", "in": "query", "schema": {"type": "integer"}}
    with pytest.raises(Undescribed, match="volume of GET /noise"):
        api.call("get", "/noise", {"description": "Noise.", "parameters": [loud], "responses": {}})


def test_what_answers_are_made_of_is_found_by_one_name_each():
    named: dict[str, set[str]] = {}
    waiting: list[type] = [Struct]
    while waiting:
        each = waiting.pop()
        waiting += each.__subclasses__()
        if each.__module__.startswith(api.HOMES) and each.__doc__:
            named.setdefault(each.__name__, set()).add(each.__doc__)
    schemas = api.document()["components"]["schemas"]
    assert {name: docs for name, docs in named.items() if name in schemas and len(docs) > 1} == {}


def test_every_cause_is_there_and_the_picture_has_it_once():
    words = [each.value for each in causes.words_of(constants(cause_words))]
    page, picture = causes.generate(), causes.generate_picture()
    assert set(words) >= cause_words.GOODBYES
    for word in words:
        status = "ended" if word in cause_words.GOODBYES else "crashed"
        assert f"| `{word}` | {status} |" in page
        assert picture.count(f">{word}</text>") == 1


def test_of_two_causes_the_one_that_says_more_stands_higher():
    words = [each.value for each in causes.words_of(constants(cause_words))]
    rows = causes.levels(words, lambda one, other: cause_words.says_more(one, than=other))
    height = {word: -index for index, row in enumerate(rows) for word in row}
    for one in words:
        for other in words:
            assert cause_words.says_more(one, than=other) == (height[one] > height[other])


def test_every_kind_of_record_is_there_with_its_fields():
    page = kinds.generate()
    for kind in ("start", "state", "event", "metric", "heartbeat", "loss", "exit", "end"):
        assert f"## `{kind}`" in page
    assert "| `contact_timeout` | a number above 0 to 315,360,000, or nothing |" in page


def test_the_arrows_are_the_table_of_the_lifecycle():
    assert set(statuses.PLACES) == set(Status)
    drawn: dict[tuple[Status | None, Trigger], Status] = {}
    for (begin, end), words in statuses.arrows(TRANSITIONS, FINAL).items():
        for status in [begin] if begin else [each for each in Status if each not in FINAL]:
            drawn |= {(status, Trigger(word)): end for word in words}
    wanted = {
        (status, trigger): end
        for status, row in TRANSITIONS.items()
        for trigger, end in row.items()
        if end is not status
    }
    assert drawn == wanted


def test_the_layers_are_those_that_are_checked_with_what_each_is_for():
    picture = layers.generate()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for layer in layers.layers(project):
        for name in layer:
            assert f">{name}</text>" in picture


def test_each_course_of_events_is_judged_as_its_page_says():
    judged = {course.name: [type(said) for _, said in silences.told(course)] for course in silences.COURSES}
    assert judged == {
        "All is well": [],
        "It hangs, and recovers": [Hung, Recovered],
        "A pause that was announced": [],
        "The machine slept": [],
        "It works so hard that nobody can look": [Hung, Recovered],
    }


def test_a_picture_can_stand_in_markdown():
    for name, generate in GENERATORS.items():
        if name.endswith("-picture"):
            picture = generate()
            assert picture.startswith("<figure>")
            assert "\n\n" not in picture


def test_all_that_the_client_offers_is_on_its_page():
    page = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
    for name in datacat.__all__:
        assert re.search(rf"^\.\. auto\w+:: {name}\b", page, re.MULTILINE), name
