"""Small settings of DRRG, and the maps of a perfect head."""

from __future__ import annotations

import cv2
import torch
from torch import Tensor

from scenetext.contracts import DetectorExamples, Targets
from scenetext.detectors.drrg.config import DRRGSettings
from scenetext.detectors.drrg.proposals import propose
from scenetext.layers.stages import pad_proposals

_REGIONS = ("text", "centre")


def perfect_maps(targets: Targets, config: DRRGSettings) -> dict[str, Tensor]:
    """Text and centre region, exact directions and heights, and links within every centre region."""
    maps = {name: targets[name].float() * 20 - 10 for name in _REGIONS}
    maps |= {name: targets[name] for name in ("sin", "cos", "top", "bottom")}
    proposals = []
    for index, centre in enumerate(targets["centre"].numpy()):
        found = dict(propose({name: value[index] for name, value in maps.items()}, None, config, torch.Generator()))
        _, regions = cv2.connectedComponents(centre, connectivity=8)
        x, y = found["boxes"][:, :2].long().unbind(dim=1)
        labels = torch.from_numpy(regions)[y, x]
        found["link"] = ((labels[found["nearest"]] == labels[:, None]) & (labels > 0)[:, None]).float() * 20 - 10
        proposals.append(found)
    return maps | {f"links.{name}": value for name, value in pad_proposals(proposals).items()}


EXAMPLES = DetectorExamples(
    small={"width": 8},
    perfect_maps=perfect_maps,
    soft_maps=_REGIONS,
    # The centre region is shortened by steps of 8 pixels, and components by what the suppression leaves at the ends.
    long_text_overlap=0.7,
    compact_text_overlap=0.65,
)
