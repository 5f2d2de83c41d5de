"""The maps of a head that has learnt its targets by heart, for decoding to be timed and tested without a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.contracts import Maps, Targets
from scenetext.errors import ConfigError

_STRIDE = 4
"""Input pixels per pixel of PSENet's and PAN's maps."""
_SMOOTHED = ("probability", "kernels", "text", "kernel", "centre")
"""Beginnings of the names of maps whose edges a network draws softly; vectors and contours have none."""


def learnt_maps(name: str, targets: Targets) -> dict[str, Tensor]:
    """Maps of logits of 10 and -10, and exact vectors and contours.

    Args:
        name: of the detector.
        targets: what it makes, with leading axis B.

    Raises:
        ConfigError: nobody has said here what a detector of that name learns.
    """
    if name not in LEARNT_MAPS:
        raise ConfigError(f"{name} has no learnt maps; give it a line in benchmark/learnt_maps.py")
    return LEARNT_MAPS[name](targets)


def softened(maps: Maps, seed: int) -> dict[str, Tensor]:
    """Maps as a network gives them: soft edges (means over 3 x 3) and noise (standard deviation 0.5) on all logits."""
    generator = torch.Generator().manual_seed(seed)
    soft = {}
    for name, logits in maps.items():
        if not name.startswith(_SMOOTHED):
            soft[name] = logits
            continue
        stacked = logits.flatten(0, -3)[:, None]
        smoothed = F.avg_pool2d(F.pad(stacked, (1, 1, 1, 1), mode="replicate"), 3, stride=1).view(logits.shape)
        soft[name] = smoothed + 0.5 * torch.randn(logits.shape, generator=generator)
    return soft


def _logits(mask: Tensor) -> Tensor:
    return mask.float() * 20 - 10


def _dbnet(targets: Targets) -> dict[str, Tensor]:
    text = targets["probability"]
    return {"probability": _logits(text), "threshold": torch.zeros_like(text, dtype=torch.float32)}


def _fcenet(targets: Targets) -> dict[str, Tensor]:
    regions = {name: _logits(mask) for name, mask in targets.items() if name.startswith(("text_", "centre_"))}
    return regions | {name: value for name, value in targets.items() if name.startswith("contour_")}


def _psenet(targets: Targets) -> dict[str, Tensor]:
    level = targets["level"][:, None, ::_STRIDE, ::_STRIDE]
    return {"kernels": _logits(level > torch.arange(7)[:, None, None])}


def _pan(targets: Targets) -> dict[str, Tensor]:
    text, kernel = (targets[name][:, ::_STRIDE, ::_STRIDE] for name in ("text", "kernel"))
    directions = F.one_hot((text % 4).long(), 4).movedim(-1, 1).float()
    return {"text": _logits(text > 0), "kernel": _logits(kernel), "embedding": 10 * directions}


LEARNT_MAPS: Mapping[str, Callable[[Targets], dict[str, Tensor]]] = MappingProxyType(
    {"dbnet": _dbnet, "dbnetpp": _dbnet, "fcenet": _fcenet, "pan": _pan, "psenet": _psenet}
)
"""For every detector, with its published number of kernels and vectors, targets to maps."""
