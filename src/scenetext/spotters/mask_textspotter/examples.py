"""Small settings of Mask TextSpotter, and the maps of perfect heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.contracts import DetectorExamples, Targets
from scenetext.layers.region_masks import polygon_masks
from scenetext.recognition.attention import UNKNOWN, sequence_targets
from scenetext.spotters.mask_textspotter.config import MaskTextSpotterSettings
from scenetext.spotters.mask_textspotter.targets import TEXT


def perfect_maps(targets: Targets, config: MaskTextSpotterSettings) -> dict[str, Tensor]:
    """The box of every text, its mask there, and what it says: what the last stage gives, and all that is decoded."""
    valid = targets["kinds"] == TEXT
    images, places = valid.shape
    box, size, classes = targets["boxes"], 2 * config.masks.cells, len(config.alphabet) + 2
    masks = polygon_masks(targets["polygons"].flatten(0, 1), box.flatten(0, 1), size).view(images, places, size, size)
    length = targets["text_length"].flatten()
    _, asked = sequence_targets(targets["text_ids"].flatten(0, 1), length, config.reading.steps, classes - 1)
    # What is not known is read as nothing: an end at once.
    asked[:, 0] = torch.where(length > 0, asked[:, 0], classes - 1)
    asked = asked.view(images, places, -1)
    read = asked != UNKNOWN
    return {
        "masks.valid": valid,
        "masks.box": box,
        "masks.text": valid.float() * 20 - 10,
        "masks.logits": masks.float() * 20 - 10,
        "masks.ids": asked,
        "masks.probabilities": read.float(),
        "masks.distributions": F.one_hot(asked.clamp(min=0), classes) * read[..., None].float(),
    }


EXAMPLES = DetectorExamples(
    small={
        **{"pyramid_channels": 16, "fusion_channels": 4, "box_channels": 32},
        "proposals": {"count": 100},
        "boxes": {"samples": 64, "masks": 8, "count": 20},
        "masks": {"cells": 16, "channels": 16, "convolutions": 2},
        "reading": {"size": [4, 16], "channels": 32, "steps": 12},
    },
    perfect_maps=perfect_maps,
    soft_maps=("masks.logits",),
)
