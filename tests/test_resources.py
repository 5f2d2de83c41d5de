"""Where configs, words and dictionaries are found; tests/commands/test_wheel.py looks for them in a wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenetext.resources import FOLDERS, resource_folder

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", FOLDERS)
def test_checkout_uses_its_own_folders(name: str) -> None:
    folder = resource_folder(name)
    assert folder == REPOSITORY / FOLDERS[name]
    assert any(path.is_file() for path in folder.rglob("*"))
