"""The site: it builds without a warning, and the pages at the root of the repository join it with links that work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from checkout import REPOSITORY
from site_pages import with_site_links


@pytest.mark.slow
def test_site_builds_without_a_warning(tmp_path: Path) -> None:
    for package in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(package, reason="the site needs scenetext[docs]")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    home = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="start/"' in home, "the README is the first page, with links to pages of the site"
    reference = (tmp_path / "reference" / "inference" / "index.html").read_text(encoding="utf-8")
    assert "A detector from a checkpoint" in reference, "docstrings are in the reference"


@pytest.mark.parametrize(
    ("written", "on_the_site"),
    [
        ("[data](docs/data.md#shards)", "[data](data.md#shards)"),
        ("![a sign](docs/overview.jpg)", "![a sign](overview.jpg)"),
        ("[changes](CHANGELOG.md)", "[changes](changelog.md)"),
        ("[`dbnet`](configs/detectors/dbnet.yaml)", "`dbnet`"),
        ("[paper](https://example.org/docs/a.md)", "[paper](https://example.org/docs/a.md)"),
        ("[below](#citation)", "[below](#citation)"),
    ],
)
def test_links_of_the_readme_are_those_of_the_site(written: str, on_the_site: str) -> None:
    assert with_site_links(written) == on_the_site
