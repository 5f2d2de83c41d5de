"""Small settings of Mask R-CNN, and the maps of perfect heads."""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorExamples, Targets
from scenetext.detectors.maskrcnn.config import MASK_SIZE, MaskRCNNSettings
from scenetext.detectors.maskrcnn.proposals import cut_masks
from scenetext.detectors.maskrcnn.targets import TEXT


def perfect_maps(targets: Targets, config: MaskRCNNSettings) -> dict[str, Tensor]:
    """The box of every text, and its mask there: what the last stage gives, which is all that is decoded."""
    valid = targets["kinds"] == TEXT
    image, place = valid.nonzero(as_tuple=True)
    box = targets["boxes"]
    crops, found = targets["crops"][image, place], box[image, place]
    logits = box.new_full((*valid.shape, 1, MASK_SIZE, MASK_SIZE), -10.0)
    logits[image, place, 0] = cut_masks(crops, found, found).float() * 20 - 10
    return {"masks.valid": valid, "masks.box": box, "masks.text": valid.float() * 20 - 10, "masks.logits": logits}


EXAMPLES = DetectorExamples(
    small={
        **{"pyramid_channels": 16, "box_channels": 32, "mask_channels": 16},
        "proposals": {"per_level": 100, "count": 100},
        "boxes": {"samples": 64},
    },
    perfect_maps=perfect_maps,
    soft_maps=("masks.logits",),
)
