"""The outputs of published implementations, which lie beside the tests: see tests/golden/README.md."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def golden_json(folder: str, name: str) -> Any:
    """What a JSON file of a golden folder holds ("oclip", "keys_RN50.json")."""
    return json.loads(lzma.decompress((GOLDEN / folder / f"{name}.xz").read_bytes()))


def golden_arrays(folder: str, name: str) -> dict[str, np.ndarray]:
    """The arrays of a golden file ("detectors", "loss_db")."""
    with np.load(GOLDEN / folder / f"{name}.npz") as archive:
        return dict(archive)
