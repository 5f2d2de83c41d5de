"""Small settings of FCENet, and the maps of a perfect head."""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorExamples, Targets
from scenetext.detectors.fcenet.config import FCENetSettings

_REGIONS = ("text_", "centre_")


def perfect_maps(targets: Targets, config: FCENetSettings) -> dict[str, Tensor]:
    """Text and centre regions of every level, and the exact coefficients of the contours."""
    regions = {name: mask.float() * 20 - 10 for name, mask in targets.items() if name.startswith(_REGIONS)}
    return regions | {name: value for name, value in targets.items() if name.startswith("contour_")}


EXAMPLES = DetectorExamples(small={"pyramid_channels": 16}, perfect_maps=perfect_maps, soft_maps=_REGIONS)
