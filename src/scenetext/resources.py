"""Files that belong to the package and are no code: configs, word lists, character dictionaries, the shipped model."""

from __future__ import annotations

from pathlib import Path

FOLDERS = {"configs": "configs", "words": "data/words", "dictionaries": "data/characters", "models": "data/models"}
"""Where the repository has each kind. A wheel has them in `SHIPPED`, under the same paths: setup.py puts them there."""
SHIPPED = "resource_files"

SHIPPED_MODEL = "street.safetensors"
"""The detector with a reader that is used where no other model is named; its card is README.md beside it."""


def shipped_model() -> Path:
    """Where the shipped model lies."""
    return resource_folder("models") / SHIPPED_MODEL


def resource_folder(name: str) -> Path:
    """The folder with one kind of these files: the repository's in a checkout, the package's copy in a wheel.

    Args:
        name: a key of `FOLDERS`.
    """
    package = Path(__file__).resolve().parent
    shipped = package / SHIPPED
    root = shipped if shipped.is_dir() else package.parents[1]
    return root / FOLDERS[name]
