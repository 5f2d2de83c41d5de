"""Neck and head of TextBPN: features of an encoder to four maps, and the refinement of boundaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from scenetext.detectors.textbpn.config import STEPS, BoundarySettings, TextBPNSettings
from scenetext.detectors.textbpn.neck import StemUnet
from scenetext.detectors.textbpn.refinement import BoundaryRefinement, RecurrentStep
from scenetext.errors import ConfigError
from scenetext.structures import Features

BORDER = 1
"""Pixels that points stay away from the border of the image."""
WIDTH = 16
"""Channels between the neck and the maps."""


class BoundaryHead(nn.Module):
    """Features to the maps that proposals come from (section 3.2) and, as `later`, the networks that refine these.

    Args:
        config: the stride.
        channels: of the encoder's levels at strides 4, 8, 16 and 32; in front of them those of its stem, if it has one.
        step: makes the network of one refinement.
        border: pixels that refined points stay away from the border of the image.

    Raises:
        ConfigError: not four levels.
    """

    def __init__(
        self, config: BoundarySettings, channels: Sequence[int], step: Callable[[], nn.Module], border: int
    ) -> None:
        super().__init__()
        if len(channels) not in (4, 5):
            raise ConfigError(
                f"{config.name} needs an encoder with four levels at strides 4, 8, 16, 32; this one has {len(channels)}"
            )
        *stem, _, _, _, _ = channels
        self.neck = StemUnet(channels[-4:], sum(stem), config.stride)
        self.predict = nn.Sequential(
            *(nn.Conv2d(self.neck.width, WIDTH, 3, padding=2, dilation=2), nn.PReLU()),
            *(nn.Conv2d(WIDTH, WIDTH, 3, padding=4, dilation=4), nn.PReLU()),
            nn.Conv2d(WIDTH, 4, 1),
        )
        steps = [step() for _ in range(STEPS)]
        self.later = nn.ModuleDict({"boundary": BoundaryRefinement(steps, config.stride, border)})

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W) to maps at the stride of the settings.

        Returns:
            text: (B, h, w) logits, whether a pixel is text.
            distance: (B, h, w) logits of the distance to the border, as a share of the text's largest.
            direction: (B, 2, h, w), (row, column) towards the nearest pixel outside the text, of unit length.
            features: (B, 36, h, w): those of the neck and the four maps (both logits as what they stand for), which
                the refinement reads.
        """
        shared = self.neck(features.levels, features.side.get("stem"))
        text, distance, *direction = self.predict(shared).unbind(dim=1)
        vectors = torch.stack(direction, dim=1)
        maps = torch.cat((torch.stack((text, distance), dim=1).sigmoid(), vectors), dim=1)
        return {
            "text": text,
            "distance": distance,
            "direction": vectors,
            "features": torch.cat((shared, maps), dim=1),
        }


def head(config: TextBPNSettings, channels: Sequence[int]) -> BoundaryHead:
    """Neck, maps and refinement for an encoder with these channels; see `BoundaryHead`."""
    return BoundaryHead(config, channels, lambda: RecurrentStep(config.dropout), BORDER)
