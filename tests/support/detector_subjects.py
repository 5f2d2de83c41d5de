"""Every detector with the small settings of its `examples.py`, for the tests that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scenetext.contracts import DetectorExamples, DetectorSpec, Maps, Targets
from scenetext.data.loading.dataset import collate
from scenetext.detectors import find_detector, find_examples
from scenetext.layers.stages import SEED, head_maps
from scenetext.structures import Features, PreparedSample, Sample
from scenetext.training.learner import weighted_sum


@dataclass(frozen=True)
class Subject:
    """A detector under test, with its small settings."""

    spec: DetectorSpec
    config: Any
    examples: DetectorExamples

    def perfect_maps(self, targets: Targets) -> Maps:
        return self.examples.perfect_maps(targets, self.config)

    def head(self, channels: tuple[int, ...] = (8, 8, 8, 8)) -> nn.Module:
        torch.manual_seed(0)
        return self.spec.head(self.config, channels)

    def targets(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Targets of several samples, stacked as a loader stacks them; with seeds, as a task adds them for stages."""
        made = [{**self.spec.targets(sample, self.config), SEED: np.array(7 + i)} for i, sample in enumerate(samples)]
        return dict(
            collate([PreparedSample(sample, arrays) for sample, arrays in zip(samples, made, strict=True)]).targets
        )

    def maps(self, network: nn.Module, features: Features, targets: Targets | None) -> dict[str, Tensor]:
        """All maps, in training from targets, in evaluation (None) without."""
        return head_maps(network, self.spec, features, targets, self.config)

    def total(self, maps: Maps, targets: Targets) -> Tensor:
        """The weighted sum of the losses, as the trainer forms it."""
        return weighted_sum(self.spec.loss(maps, targets, self.config), dict(self.config.loss_weights))


def make_subject(name: str) -> Subject:
    spec, examples = find_detector(name), find_examples(name)
    return Subject(spec, spec.config(name=name, **examples.small), examples)
