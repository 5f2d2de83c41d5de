"""TextSnake: A Flexible Representation for Detecting Text of Arbitrary Shapes (Long et al., ECCV 2018).

arXiv:1807.01544.
"""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorSpec, Targets
from scenetext.detectors.textsnake.config import TextSnakeSettings
from scenetext.detectors.textsnake.decode import decode
from scenetext.detectors.textsnake.loss import loss
from scenetext.detectors.textsnake.model import head
from scenetext.detectors.textsnake.targets import targets


def text_region(targets: Targets) -> tuple[Tensor, Tensor]:
    """The text region and where it is known, (B, H, W) uint8 each."""
    return targets["text"], targets["valid"]


SPEC = DetectorSpec(
    config=TextSnakeSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
)
