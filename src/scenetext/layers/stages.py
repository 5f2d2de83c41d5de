"""Runs a detector's head and its stages: second looks at places that are chosen from maps or from targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.contracts import DetectorSpec, Maps, Proposals, Stage, Targets
from scenetext.structures import Features

SEED = "seed"
"""The target (B,) int64 that all randomness of stages comes from; whoever prepares training samples adds it."""
IMAGE = "image"
"""The normalised images in `Features.side`, where whoever has them puts them in; stages see them as features_image."""
_FOR_STAGES = "features"
"""What the names of maps begin with that are for stages only."""


def head_maps(
    head: nn.Module, spec: DetectorSpec, features: Features, targets: Targets | None, config: Any
) -> dict[str, Tensor]:
    """All maps of a detector: those of its head, then of stage after stage.

    Args:
        head: what `spec.head` made.
        targets: of the batch, with a seed for every image where the detector has stages; None = evaluation, without
            the maps that are for stages only. Where one stage alone learns, nothing else is run with targets.
    """
    alone = None if targets is None else spec.learns
    maps: dict[str, Tensor] = {} if alone else dict(head(features))
    if spec.stages and IMAGE in features.side:
        maps[f"{_FOR_STAGES}_{IMAGE}"] = features.side[IMAGE]
    later: Any = getattr(head, "later", {})
    for number, stage in enumerate(spec.stages):
        if alone not in (None, stage.name):
            continue
        proposals = _propose(stage, number, maps, targets, config)
        looks = later[stage.name](maps, proposals) if stage.name in later else {}
        maps.update({f"{stage.name}.{name}": value for name, value in {**proposals, **looks}.items()})
    if targets is None:
        return {name: value for name, value in maps.items() if not name.startswith(_FOR_STAGES)}
    return maps


def of_stage(maps: Maps, name: str) -> dict[str, Tensor]:
    """What a stage gave, proposals included, under its own names."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in maps.items() if key.startswith(prefix)}


def pad_proposals(images: Sequence[Proposals]) -> dict[str, Tensor]:
    """The places of several images as tensors (B, P, ...), with "valid" (B, P) bool.

    Every axis is padded with zeros to the largest. P is at least 1: where no image has a place, one that is not valid
    stands in, so that every parameter of the stage has a gradient.

    Args:
        images: named tensors with leading axis P, one mapping an image, all of the same names.
    """
    names = images[0].keys()
    counts = [len(next(iter(each.values()))) for each in images]
    longest = max(1, *counts)
    padded = {name: _stack([each[name] for each in images], longest) for name in names}
    valid = torch.arange(longest) < torch.tensor(counts)[:, None]
    return {**padded, "valid": valid.to(next(iter(padded.values())).device)}


def _propose(stage: Stage, number: int, maps: Maps, targets: Targets | None, config: Any) -> dict[str, Tensor]:
    """What a stage proposes for every image, on the device of the maps."""
    seen = {
        name: value.detach().float() if value.is_floating_point() else value.detach()
        for name, value in maps.items()
        if not name.startswith(_FOR_STAGES)
    }
    some = next(iter(maps.values()))
    seeds = [0] * len(some) if targets is None else targets[SEED].tolist()
    found = []
    with torch.no_grad(), torch.autocast(some.device.type, enabled=False):
        for index, seed in enumerate(seeds):
            image = {name: value[index] for name, value in seen.items()}
            truth = None if targets is None else {name: value[index] for name, value in targets.items()}
            found.append(stage.propose(image, truth, config, torch.Generator().manual_seed(seed + number)))
    return {name: value.to(some.device) for name, value in pad_proposals(found).items()}


def _stack(tensors: Sequence[Tensor], longest: int) -> Tensor:
    """(B, longest, ...) with zeros where a tensor is smaller than the largest."""
    shape = [longest, *(max(sizes) for sizes in zip(*(each.shape[1:] for each in tensors), strict=True))]
    return torch.stack(
        [
            F.pad(
                each,
                [
                    side
                    for size, wanted in zip(reversed(each.shape), reversed(shape), strict=True)
                    for side in (0, wanted - size)
                ],
            )
            for each in tensors
        ]
    )
