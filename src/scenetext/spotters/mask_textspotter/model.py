"""Neck and heads of Mask TextSpotter v3: the segmentation proposal network, and what looks at proposals."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import roi_align

from scenetext.contracts import Maps, Proposals
from scenetext.errors import ConfigError
from scenetext.layers.feature_pyramid import FeaturePyramid
from scenetext.layers.region_masks import polygon_masks
from scenetext.layers.region_pooling import on_valid_places
from scenetext.recognition.attention import AttentionReader
from scenetext.recognition.ctc import CtcMapReader
from scenetext.spotters.mask_textspotter.config import BOX_CELLS, STRIDE, MaskTextSpotterSettings
from scenetext.structures import Features

FUSED = "features_fused"
"""The map that regions are pooled from."""
_LEVELS = 4


class SegmentationProposalNetwork(nn.Module):
    """Levels of one width to the fused map and a map of text kernels (section 3.1).

    Args:
        width: channels of every level.
        fused: channels that each has in the fused map.
    """

    def __init__(self, width: int, fused: int) -> None:
        super().__init__()
        self.fuse = nn.ModuleList(nn.Conv2d(width, fused, 3, padding=1, bias=False) for _ in range(_LEVELS))
        self.predict = nn.Sequential(
            nn.Conv2d(_LEVELS * fused, fused, 3, padding=1, bias=False),
            nn.BatchNorm2d(fused),
            nn.ReLU(),
            nn.ConvTranspose2d(fused, fused, 2, stride=2),
            nn.BatchNorm2d(fused),
            nn.ReLU(),
            nn.ConvTranspose2d(fused, 1, 2, stride=2),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.bias, 1e-4)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """levels: finest first, to the fused map (B, 4 fused, H / 4, W / 4), coarsest first, and logits (B, H, W)."""
        size = levels[0].shape[-2:]
        parts = [fuse(level) for fuse, level in zip(self.fuse, levels, strict=True)]
        fused = torch.cat([F.interpolate(part, size=size, mode="nearest") for part in reversed(parts)], dim=1)
        return fused, self.predict(fused)[:, 0]


class BoxHead(nn.Module):
    """Proposals to their probability of text and what moves them to it."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList((nn.Linear(channels * BOX_CELLS**2, width), nn.Linear(width, width)))
        self.classes = nn.Linear(width, 2)
        self.offset = nn.Linear(width, 4)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif name.startswith("hidden"):
                nn.init.kaiming_uniform_(parameter, a=1)
            else:
                nn.init.normal_(parameter, std=0.01 if name.startswith("classes") else 0.001)

    def forward(self, maps: Maps, proposals: Proposals) -> dict[str, Tensor]:
        """The valid places, "box" (B, P, 4) and "polygon" (B, P, V, 2), to text, (B, P) logits, and offset, (B, P, 4).

        The layer has two outputs, background and text, whose difference is the logit of their softmax.
        """

        def look(image: Tensor, place: Tensor) -> dict[str, Tensor]:
            box, polygon = proposals["box"][image, place], proposals["polygon"][image, place]
            hidden = hard_masked(pool_boxes(maps[FUSED], box, image, BOX_CELLS), polygon, box).flatten(1)
            for layer in self.hidden:
                hidden = F.relu(layer(hidden))
            background, text = self.classes(hidden).unbind(dim=1)
            return {"text": text - background, "offset": self.offset(hidden)}

        return on_valid_places(proposals["valid"], look)


class MaskHead(nn.Module):
    """Boxes to the mask of the text in them, a map for every character, and what they read (section 3.4)."""

    def __init__(self, config: MaskTextSpotterSettings, channels: int) -> None:
        super().__init__()
        settings, characters = config.masks, len(config.alphabet)
        width = settings.channels
        self.cells = settings.cells
        inputs = (channels, *[width] * (settings.convolutions - 1))
        self.convolutions = nn.ModuleList(nn.Conv2d(count, width, 3, padding=1) for count in inputs)
        self.upsample = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.logits = nn.Conv2d(width, 1, 1)
        self.characters = nn.Conv2d(width, characters + 1, 1) if settings.character_maps else None
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            else:
                nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")
        reading = config.reading
        self.fed = config.recognizer.fed
        self.reader = (
            CtcMapReader(reading.size, reading.channels, width, characters)
            if reading.name == "ctc"
            else AttentionReader(reading, width, characters)
        )

    def forward(self, maps: Maps, proposals: Proposals) -> dict[str, Tensor]:
        """The valid places to maps of a side of S pixels, twice the cells, and what the reader makes of them.

        Args:
            proposals: "box" (B, P, 4), "polygon" (B, P, V, 2) and, in training, what the reader is fed.

        Returns:
            logits: (B, P, S, S) of text.
            characters: (B, P, C + 1, S, S) logits, background first; only with character maps.
            What the reader returns, (B, P, ...).
        """

        def look(image: Tensor, place: Tensor) -> dict[str, Tensor]:
            box, polygon = proposals["box"][image, place], proposals["polygon"][image, place]
            hidden = pool_boxes(maps[FUSED], box, image, self.cells)
            for layer in self.convolutions:
                hidden = F.relu(layer(hidden))
            hidden = F.relu(self.upsample(hard_masked(hidden, polygon, box)))
            fed = proposals[self.fed][image, place] if self.fed is not None and self.fed in proposals else None
            found = {"logits": self.logits(hidden)[:, 0], **self.reader(hidden, fed)}
            return found if self.characters is None else {**found, "characters": self.characters(hidden)}

        return on_valid_places(proposals["valid"], look)


def pool_boxes(fused: Tensor, boxes: Tensor, image: Tensor, cells: int) -> Tensor:
    """RoI align as published: two samples of a cell in each direction, half a pixel of the map off.

    Args:
        fused: (B, C, h, w).
        boxes: (R, 4), input pixels; image: (R,), which of the batch each is in.

    Returns:
        (R, C, cells, cells) float32.
    """
    regions = torch.cat((image.to(boxes)[:, None], boxes), dim=1)
    return roi_align(fused.float(), regions, cells, 1 / STRIDE, sampling_ratio=2, aligned=False)


def hard_masked(features: Tensor, polygons: Tensor, boxes: Tensor) -> Tensor:
    """Hard RoI masking (section 3.2): features (R, C, n, n) of boxes, 0 outside of the polygons (R, V, 2)."""
    return features * polygon_masks(polygons, boxes, features.shape[-1])[:, None]


class MaskTextSpotterHead(nn.Module):
    """Features to the map of text kernels; `later` holds what looks at boxes and at masks.

    Raises:
        ConfigError: not four levels.
    """

    def __init__(self, config: MaskTextSpotterSettings, channels: Sequence[int]) -> None:
        super().__init__()
        if len(channels) != _LEVELS:
            raise ConfigError(
                "mask_textspotter needs an encoder with four levels at strides 4, 8, 16, 32; "
                f"this one has {len(channels)}"
            )
        self.pyramid = FeaturePyramid(channels, config.pyramid_channels)
        for convolution in (*self.pyramid.lateral, *self.pyramid.smooth):
            nn.init.kaiming_uniform_(convolution.weight, a=1)
        self.proposals = SegmentationProposalNetwork(config.pyramid_channels, config.fusion_channels)
        fused = _LEVELS * config.fusion_channels
        self.later = nn.ModuleDict({"boxes": BoxHead(fused, config.box_channels), "masks": MaskHead(config, fused)})

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W) to maps.

        Returns:
            probability: (B, H, W) logits of text kernels.
            features_fused: (B, C, H / 4, W / 4), for the stages.
        """
        fused, probability = self.proposals(self.pyramid(features.levels))
        return {"probability": probability, FUSED: fused}


def head(config: MaskTextSpotterSettings, channels: Sequence[int]) -> MaskTextSpotterHead:
    """Neck and heads for an encoder with these channels; see `MaskTextSpotterHead`."""
    return MaskTextSpotterHead(config, channels)
