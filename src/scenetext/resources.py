"""Files that belong to the package and are no code: configs, word lists, character dictionaries."""

from __future__ import annotations

from pathlib import Path

FOLDERS = {"configs": "configs", "words": "data/words", "dictionaries": "data/characters"}
"""Where the repository has each kind. A wheel has them in `SHIPPED`, under the same paths: setup.py puts them there."""
SHIPPED = "resource_files"


def resource_folder(name: str) -> Path:
    """The folder with one kind of these files: the repository's in a checkout, the package's copy in a wheel.

    Args:
        name: a key of `FOLDERS`.
    """
    package = Path(__file__).resolve().parent
    shipped = package / SHIPPED
    root = shipped if shipped.is_dir() else package.parents[1]
    return root / FOLDERS[name]
