"""Where the repository lies, and the real images that may lie beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def real_data_folder(name: str) -> Path:
    """Folder of real images; skips the calling test where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data" / name
    if not folder.is_dir():
        pytest.skip(f"real images not found at {folder}")
    return folder
