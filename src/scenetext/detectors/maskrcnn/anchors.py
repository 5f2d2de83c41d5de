"""Anchors: boxes of fixed shapes around the pixels of every level, and the maps as lists of them."""

from __future__ import annotations

import torch
from torch import Tensor

from scenetext.contracts import Maps
from scenetext.detectors.maskrcnn.config import STRIDES, AnchorSettings


def anchors_of_level(objectness: Tensor, stride: int, config: AnchorSettings) -> Tensor:
    """The anchors of a map (..., h, w) of one stride, (h w A, 4) float32, row by row, on its device.

    Each stands around the top-left corner of its map pixel and is not rounded, as in MMDetection.
    """
    height, width = objectness.shape[-2:]
    device = objectness.device
    ratios = torch.tensor(config.ratios, dtype=torch.float32, device=device)
    size = config.scale * stride
    half = torch.stack((size / ratios.sqrt(), size * ratios.sqrt()), dim=1) / 2
    shapes = torch.cat((-half, half), dim=1)
    rows, columns = (stride * torch.arange(count, device=device) for count in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    corners = torch.stack((x, y, x, y), dim=-1)[:, :, None]
    return (corners + shapes).reshape(-1, 4)


def all_anchors(maps: Maps, config: AnchorSettings) -> Tensor:
    """The anchors of all levels, finest first, (N, 4), on the device of the maps of one image or several."""
    return torch.cat([anchors_of_level(maps[f"objectness_{stride}"], stride, config) for stride in STRIDES])


def anchor_lists(maps: Maps) -> tuple[list[Tensor], list[Tensor]]:
    """For every level logits (..., n) and offsets (..., n, 4) in the order of its anchors.

    Args:
        maps: of one image, objectness_S (A, h, w) and offset_S (4 A, h, w), or of several, (B, ...) each.
    """
    logits = [maps[f"objectness_{stride}"].movedim(-3, -1).flatten(-3) for stride in STRIDES]
    offsets = [maps[f"offset_{stride}"].movedim(-3, -1).flatten(-3) for stride in STRIDES]
    return logits, [each.reshape(*each.shape[:-1], -1, 4) for each in offsets]


def input_size(maps: Maps) -> tuple[int, int]:
    """(height, width) of the padded input image."""
    height, width = maps[f"objectness_{STRIDES[0]}"].shape[-2:]
    return height * STRIDES[0], width * STRIDES[0]
