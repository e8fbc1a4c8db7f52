"""Links between the pages that Sphinx does not see: it holds those within ``docs`` itself."""

import re

import pytest
from tests.docs.pages import ROOT

PAGES = sorted(ROOT.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_is_there(page):
    links = re.findall(r"\]\((?!https?://)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_links_to_the_documentation():
    assert "](docs/tutorial/first-five-minutes.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
