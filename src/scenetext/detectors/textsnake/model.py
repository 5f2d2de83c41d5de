"""Neck and head of TextSnake: FPN-UNet, and one convolution to all maps."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from scenetext.detectors.textsnake.config import TextSnakeSettings
from scenetext.detectors.textsnake.skeleton import require_scikit_image
from scenetext.layers.fpn_unet import FpnUnet
from scenetext.structures import Features

MAPS = ("text", "centre", "sin", "cos", "radius")
"""In the order of the convolution's channels."""


class TextSnakeHead(nn.Module):
    """Features to the five maps of TextSnake (section 3.2), at the size of the image.

    Args:
        config: width of the neck.
        channels: of the four levels, at strides 4, 8, 16 and 32.

    Raises:
        ConfigError: not four levels.
    """

    def __init__(self, config: TextSnakeSettings, channels: Sequence[int]) -> None:
        super().__init__()
        self.neck = FpnUnet(channels, config.width)
        self.maps = nn.Conv2d(config.width, len(MAPS), 1)
        nn.init.normal_(self.maps.weight, std=0.01)
        nn.init.zeros_(self.maps.bias)  # type: ignore[arg-type]

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W) to maps (B, H, W).

        Returns:
            text, centre: logits.
            sin, cos: direction of the centre line, y downwards; not of unit length.
            radius: half the height of the text, pixels; may be negative.
        """
        return dict(zip(MAPS, self.maps(self.neck(features.levels)).unbind(dim=1), strict=True))


def head(config: TextSnakeSettings, channels: Sequence[int]) -> TextSnakeHead:
    """Neck and head for an encoder with these channels; see `TextSnakeHead`.

    Raises:
        ConfigError: not four levels; or scikit-image is not installed, which decoding will need.
    """
    require_scikit_image()
    return TextSnakeHead(config, channels)
