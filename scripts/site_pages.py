"""A hook of mkdocs: pages that lie at the root of the repository join the site, so that each text exists once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files at the root, and their names on the site."""


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages of `PAGES` to the site's files."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        content = with_site_links((ROOT / name).read_text(encoding="utf-8"))
        files.append(File.generated(config, page, content=content))
    return files


def with_site_links(text: str) -> str:
    """The page with its links as the site has them; what is not on the site, such as code, keeps the words alone."""
    return re.sub(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)", _site_link, text)


def _site_link(link: re.Match[str]) -> str:
    image, words, path, anchor = link.groups(default="")
    if path in PAGES:
        return f"[{words}]({PAGES[path]}{anchor})"
    if path.startswith("docs/"):
        return f"{image}[{words}]({path.removeprefix('docs/')}{anchor})"
    return words
