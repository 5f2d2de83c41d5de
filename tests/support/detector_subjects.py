"""Every detector with small settings, for the tests that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scenetext.benchmark.learnt_maps import learnt_maps
from scenetext.contracts import DetectorSpec, Maps, Targets
from scenetext.detectors import find_detector
from scenetext.structures import Sample

CASES: dict[str, dict[str, Any]] = {
    "dbnet": {"inner_channels": 16, "level_channels": 8},
    "dbnetpp": {"inner_channels": 16, "level_channels": 8},
    "fcenet": {"pyramid_channels": 16},
    "pan": {"pyramid_channels": 8, "head_channels": 8},
    "psenet": {"pyramid_channels": 16, "head_channels": 8},
}
"""For every detector, settings that make it quick."""


@dataclass(frozen=True)
class Subject:
    """A detector under test, with its small settings."""

    spec: DetectorSpec
    config: Any

    def perfect_maps(self, targets: Targets) -> Maps:
        return learnt_maps(self.config.name, targets)

    def head(self, channels: tuple[int, ...] = (8, 8, 8, 8)) -> nn.Module:
        torch.manual_seed(0)
        return self.spec.head(self.config, channels)

    def targets(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Targets of several samples, stacked as a loader stacks them."""
        made = [self.spec.targets(sample, self.config) for sample in samples]
        return {name: torch.stack([torch.from_numpy(arrays[name]) for arrays in made]) for name in made[0]}

    def total(self, maps: Maps, targets: Targets) -> Tensor:
        """The weighted sum of the losses, as the trainer forms it."""
        weights = dict(self.config.loss_weights)
        terms = self.spec.loss(maps, targets, self.config)
        return torch.stack([term * weights[name] for name, term in terms.items()]).sum()


def make_subject(name: str) -> Subject:
    assert name in CASES, f"detector {name!r} is on disk: give it a line in CASES"
    spec = find_detector(name)
    return Subject(spec, spec.config(**CASES[name]))
