"""Published values of Mask TextSpotter v3: its arrays, polygons in them, and its weights under our names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from golden import golden_arrays

FOLDER = "spotting"


def arrays_of(name: str) -> dict[str, np.ndarray]:
    """The arrays of a file; what was stored in 16 bits as float32."""
    found = golden_arrays(FOLDER, name)
    return {key: value.astype(np.float32) if value.dtype == np.float16 else value for key, value in found.items()}


def polygons_of(arrays: Mapping[str, np.ndarray], prefix: str = "") -> list[np.ndarray]:
    """Polygons (V, 2) that are stored one after the other."""
    counts = arrays[f"{prefix}num_points"]
    return np.split(arrays[f"{prefix}polygons"], np.cumsum(counts)[:-1]) if len(counts) else []


def load_published(module: nn.Module, arrays: Mapping[str, np.ndarray], names: Mapping[str, str], prefix: str) -> None:
    """Gives a module published weights, by prefixes of its names and of those in the file."""
    weights: dict[str, Tensor] = {}
    for name in module.state_dict():
        own = max((each for each in names if f"{name}.".startswith(f"{each}.")), key=len)
        weights[name] = torch.from_numpy(arrays[prefix + names[own] + name[len(own) :]])
    module.load_state_dict(weights)
