"""Every example in the documentation works, or says that it is a fragment."""

import doctest
import json
import tomllib

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own, for one call
from tests.docs.pages import PAGES, Example, examples, name_of
from tests.docs.terminal import differences

READ = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
RUN = {"console", "python"}
FRAGMENTS = {"text", "mermaid"}
FOUND = {page: examples(page.read_text(encoding="utf-8")) for page in PAGES}


def is_run(example: Example) -> bool:
    return bool(example.file) or (example.language in RUN and not is_a_doctest(example))


def is_a_doctest(example: Example) -> bool:
    return example.language == "python" and example.text.startswith(">>>")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_an_example_is_of_a_language_that_is_run_or_read_or_is_marked_as_a_fragment(page):
    wrong = [
        f"line {each.line}: {each.language or 'none'}"
        for each in FOUND[page]
        if each.language not in RUN | READ.keys() | FRAGMENTS and not each.file
    ]
    assert not wrong, "what cannot run is of the language text"


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(is_run, FOUND[page]))], ids=name_of)
def test_what_a_page_shows_in_a_terminal_happens(page, service, journals, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    if wrong := differences([each for each in FOUND[page] if is_run(each)], service.url, folder):
        pytest.fail("\n".join(wrong), pytrace=False)


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(is_a_doctest, FOUND[page]))], ids=name_of)
def test_what_a_page_shows_in_the_interpreter_happens(page):
    names: dict[str, object] = {}
    for each in filter(is_a_doctest, FOUND[page]):
        test = doctest.DocTestParser().get_doctest(each.text, names, name_of(page), str(page), each.line)
        told: list[str] = []
        failed, _ = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(
            test, out=told.append, clear_globs=False
        )
        assert not failed, "".join(told)
        names |= test.globs


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_shows_of_a_file_can_be_read(page):
    for each in FOUND[page]:
        if read := READ.get(each.language):
            read(each.text)
