"""Neck and heads of Mask R-CNN: a feature pyramid, the region proposal network, and what looks at boxes."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.contracts import Maps, Proposals
from scenetext.detectors.maskrcnn.config import BOX_CELLS, MASK_CELLS, STRIDES, MaskRCNNSettings
from scenetext.errors import ConfigError
from scenetext.layers.feature_pyramid import FeaturePyramid
from scenetext.layers.region_pooling import on_valid_places, pool_regions
from scenetext.structures import Features

_POOLED_STRIDES = STRIDES[:-1]
_FEATURES = tuple(f"features_{stride}" for stride in _POOLED_STRIDES)
_MASK_CONVOLUTIONS = 4


class RegionProposalNetwork(nn.Module):
    """Whether every anchor is text, and how it has to be moved; the same for all levels.

    Source: Faster R-CNN (NeurIPS 2015), section 3.1.
    """

    def __init__(self, channels: int, anchors: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, anchors, 1)
        self.offset = nn.Conv2d(channels, 4 * anchors, 1)
        for name, parameter in self.named_parameters():
            nn.init.normal_(parameter, std=0.01 if name.endswith("weight") else 0.0)

    def forward(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """level: (B, C, h, w), to logits (B, A, h, w) and offsets (B, 4 A, h, w), anchor by anchor."""
        hidden = F.relu(self.convolution(level))
        return self.objectness(hidden), self.offset(hidden)


class BoxHead(nn.Module):
    """Proposals to their probability of text and what moves them to it (section 3; Faster R-CNN with FPN)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList((nn.Linear(channels * BOX_CELLS**2, width), nn.Linear(width, width)))
        self.classes = nn.Linear(width, 2)
        self.offset = nn.Linear(width, 4)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif name.startswith("hidden"):
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.normal_(parameter, std=0.01 if name.startswith("classes") else 0.001)

    def forward(self, maps: Maps, proposals: Proposals) -> dict[str, Tensor]:
        """The valid places "box" (B, P, 4) to text, (B, P) logits, and offset, (B, P, 4).

        The layer has two outputs, text and background, whose difference is the logit of their softmax.
        """

        def look(image: Tensor, place: Tensor) -> dict[str, Tensor]:
            levels = [maps[name] for name in _FEATURES]
            hidden = pool_regions(levels, _POOLED_STRIDES, proposals["box"][image, place], image, BOX_CELLS).flatten(1)
            for layer in self.hidden:
                hidden = F.relu(layer(hidden))
            text, background = self.classes(hidden).unbind(dim=1)
            return {"text": text - background, "offset": self.offset(hidden)}

        return on_valid_places(proposals["valid"], look)


class MaskHead(nn.Module):
    """Boxes to masks of the text in them (figure 4, on the right)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        inputs = (channels, *[width] * (_MASK_CONVOLUTIONS - 1))
        self.convolutions = nn.ModuleList(nn.Conv2d(count, width, 3, padding=1) for count in inputs)
        self.upsample = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.logits = nn.Conv2d(width, 1, 1)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")

    def forward(self, maps: Maps, proposals: Proposals) -> dict[str, Tensor]:
        """The valid places "box" (B, P, 4) to logits, (B, P, 1, 28, 28)."""

        def look(image: Tensor, place: Tensor) -> dict[str, Tensor]:
            levels = [maps[name] for name in _FEATURES]
            hidden = pool_regions(levels, _POOLED_STRIDES, proposals["box"][image, place], image, MASK_CELLS)
            for layer in self.convolutions:
                hidden = F.relu(layer(hidden))
            return {"logits": self.logits(F.relu(self.upsample(hidden)))}

        return on_valid_places(proposals["valid"], look)


class MaskRCNNHead(nn.Module):
    """Features to the maps of anchors; `later` holds what looks at boxes and at masks.

    Args:
        config: widths and anchors.
        channels: of the four levels, at strides 4, 8, 16 and 32.

    Raises:
        ConfigError: not four levels.
    """

    def __init__(self, config: MaskRCNNSettings, channels: Sequence[int]) -> None:
        super().__init__()
        if len(channels) != len(_POOLED_STRIDES):
            raise ConfigError(
                f"maskrcnn needs an encoder with four levels at strides 4, 8, 16, 32; this one has {len(channels)}"
            )
        width = config.pyramid_channels
        self.pyramid = FeaturePyramid(channels, width)
        self.rpn = RegionProposalNetwork(width, len(config.anchors.ratios))
        self.later = nn.ModuleDict(
            {"boxes": BoxHead(width, config.box_channels), "masks": MaskHead(width, config.mask_channels)}
        )

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W) to maps of every stride S in 4, 8, 16, 32 and 64.

        Returns:
            objectness_S: (B, A, H / S, W / S) logits of the A anchors at every map pixel.
            offset_S: (B, 4 A, H / S, W / S), anchor by anchor, of x, y, width and height, see `layers.boxes`.
            features_S: (B, C, H / S, W / S) levels of the pyramid, for the stages; not for 64.
        """
        levels = self.pyramid(features.levels)
        maps = dict(zip(_FEATURES, levels, strict=True))
        # The coarsest level is every second pixel of the one before.
        for stride, level in zip(STRIDES, (*levels, levels[-1][..., ::2, ::2]), strict=True):
            maps[f"objectness_{stride}"], maps[f"offset_{stride}"] = self.rpn(level)
        return maps


def head(config: MaskRCNNSettings, channels: Sequence[int]) -> MaskRCNNHead:
    """Neck and heads for an encoder with these channels; see `MaskRCNNHead`."""
    return MaskRCNNHead(config, channels)
