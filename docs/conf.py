"""The pages as a site: Sphinx with MyST reads the Markdown that a forge shows, and fails on a link that leads nowhere.

The source is the repository's own folder, so that a link between README, CHANGELOG and docs/ is one relative path, here
and on a forge. No page holds a word that only Sphinx knows: the table of contents is made of the links in index.md.
"""

import re

from sphinx.application import Sphinx

project = "vaultd"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "README.zh.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "docs/*.md",
    "benchmarks/README.md",
    "systemd/README.md",
]
#: Not walked through at all: environments and build results hold tens of thousands of files.
exclude_patterns = [".*", "build", "dist", "tests", "vaultd", "providers", "node_modules"]

html_theme = "furo"
html_title = "vaultd"
html_extra_path = ["site"]
html_show_sphinx = False
html_copy_source = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": False}

#: Every heading has the anchor that a forge gives it.
myst_heading_anchors = 4

#: `make links`, which asks the network: example addresses and local ones are no links.
linkcheck_ignore = [r"https?://(127\.0\.0\.1|localhost|\[::1\])", r"https://.*\.example(\.com)?\b"]
linkcheck_timeout = 20

_LINK = re.compile(r"(?:^- |, )\[[^\]]+\]\(([^)#]+)\.md\)", re.MULTILINE)


def _contents(_app: Sphinx, docname: str, source: list[str]) -> None:
    """Each section of index.md, with the pages it lists, as a part of the table of contents."""
    if docname != root_doc:
        return
    for section in source[0].split("\n## ")[1:]:
        caption, _, rest = section.partition("\n")
        pages = "\n".join("/" + _from_root(page) for page in _LINK.findall(rest))
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{pages}\n```\n"


def _from_root(page: str) -> str:
    return page.removeprefix("../") if page.startswith("../") else f"docs/{page}"


def setup(app: Sphinx) -> None:
    app.connect("source-read", _contents)
