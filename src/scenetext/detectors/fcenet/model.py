"""Neck and head of FCENet: a feature pyramid, and two convolutions that all of its levels share."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from scenetext.detectors.fcenet.config import STRIDES, FCENetSettings
from scenetext.errors import ConfigError
from scenetext.layers.feature_pyramid import FeaturePyramid
from scenetext.structures import Features


class FCENetHead(nn.Module):
    """Features to the text and centre regions and the contours of three levels (figure 3 of the paper).

    Args:
        config: width of the pyramid and degree of the contours.
        channels: of the four levels, at strides 4, 8, 16 and 32; the first is not used.

    Raises:
        ConfigError: not four levels.
    """

    def __init__(self, config: FCENetSettings, channels: Sequence[int]) -> None:
        super().__init__()
        if len(channels) != 4:
            raise ConfigError(
                f"fcenet needs an encoder with four levels at strides 4, 8, 16, 32; this one has {len(channels)}"
            )
        self.pyramid = FeaturePyramid(channels[1:], config.pyramid_channels)
        self.regions = nn.Conv2d(config.pyramid_channels, 4, 3, padding=1)
        self.contour = nn.Conv2d(config.pyramid_channels, 2 * (2 * config.degree + 1), 3, padding=1)
        for name, parameter in (*self.regions.named_parameters(), *self.contour.named_parameters()):
            nn.init.normal_(parameter, std=0.01 if name == "weight" else 0.0)

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W) to maps of every stride S in 8, 16 and 32.

        Returns:
            text_S, centre_S: (B, H / S, W / S) logits. The convolution has two outputs for each, as in the paper, and
                this is their difference, whose logistic function is their softmax.
            contour_S: (B, 2 (2 K + 1), H / S, W / S) Fourier coefficients in map pixels, real parts first; c_0 is
                relative to the map pixel.
        """
        maps = {}
        for stride, level in zip(STRIDES, self.pyramid(features.levels[1:]), strict=True):
            no_text, text, no_centre, centre = self.regions(level).unbind(dim=1)
            maps[f"text_{stride}"] = text - no_text
            maps[f"centre_{stride}"] = centre - no_centre
            maps[f"contour_{stride}"] = self.contour(level)
        return maps


def head(config: FCENetSettings, channels: Sequence[int]) -> FCENetHead:
    """Neck and head for an encoder with these channels; see `FCENetHead`."""
    return FCENetHead(config, channels)
