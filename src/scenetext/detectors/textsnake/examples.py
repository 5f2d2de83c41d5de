"""Small settings of TextSnake, and the maps of a perfect head."""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorExamples, Targets
from scenetext.detectors.textsnake.config import TextSnakeSettings

_REGIONS = ("text", "centre")


def perfect_maps(targets: Targets, config: TextSnakeSettings) -> dict[str, Tensor]:
    """Text and centre region, and the exact direction and radius."""
    regions = {name: targets[name].float() * 20 - 10 for name in _REGIONS}
    return regions | {name: targets[name] for name in ("sin", "cos", "radius")}


EXAMPLES = DetectorExamples(
    small={"width": 8, "decoding": {"polygon_shape": "polygon"}},
    perfect_maps=perfect_maps,
    soft_maps=_REGIONS,
    # Disks reach a quarter of its height beyond either end of a text.
    long_text_overlap=0.6,
    # A text up to twice as high as wide is read along its short sides, by disks as wide as it is high; and around the
    # few disks of a square a rectangle of least area has any angle.
    compact_text_overlap=0.25,
    # The mean over all of the disks, beyond the ends, too.
    least_score=0.8,
)
