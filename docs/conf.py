"""How Sphinx builds the documentation: ``make docs``."""

from docs.generate import fill
from sphinx.application import Sphinx

from datacat.version import __version__

project = "datacat"
author = "the datacat authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
smartquotes = False  # they make one dash of the two before an option
pygments_dark_style = "monokai"
html_theme = "furo"
html_title = f"datacat {__version__}"
html_static_path = ["_static"]
html_css_files = ["datacat.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
highlight_language = "text"
copybutton_prompt_text = "$ "
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
nitpicky = True
# What other libraries call their things is not ours to link: only datacat's own names must be found.
nitpick_ignore_regex = [(r"py:.*", r"(?!datacat\b).*")]
exclude_patterns = ["generate"]


def setup(app: Sphinx) -> None:
    """Let pages ask for what follows from the code."""
    app.connect("source-read", _fill)


def _fill(_app: Sphinx, _docname: str, source: list[str]) -> None:
    source[0] = fill(source[0])
