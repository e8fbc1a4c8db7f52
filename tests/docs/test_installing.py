"""What is said of how datacat is installed."""

import re

from tests.docs.pages import ROOT

SAID = [
    ROOT / "README.md",
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "deploy").rglob("*.*"),
    *(ROOT / "src").rglob("*.py"),
]


def test_nobody_is_told_to_install_by_its_name_what_is_another_package():
    by_name = re.compile(r"pip install (?:--?\S+ )*['\"]?datacat\b")
    assert [
        path for path in SAID if path.is_file() and by_name.search(path.read_text(encoding="utf-8"))
    ] == []
