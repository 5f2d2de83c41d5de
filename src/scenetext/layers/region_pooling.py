"""Features at boxes: RoI align from the level of a feature pyramid that fits the size of the box."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchvision.ops import roi_align

FINEST_SIZE = 56.0
"""Boxes of up to twice this size (root of the area, input pixels) look at the finest level, of stride 4."""


def pyramid_level(boxes: Tensor, levels: int) -> Tensor:
    """(R,) int64, from 0 (the finest) up: where boxes (R, 4) are looked up. Source: FPN (CVPR 2017), equation 1."""
    size = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).clamp(min=0).sqrt()
    return (size / FINEST_SIZE + 1e-6).log2().floor().clamp(0, levels - 1).long()


def pool_regions(levels: Sequence[Tensor], strides: Sequence[int], boxes: Tensor, image: Tensor, cells: int) -> Tensor:
    """The features in boxes, in as many cells whatever the size of the box, in float32.

    Each cell is the mean of bilinear samples, about one for every pixel of the map in it; half a pixel is not lost
    (`aligned`). Source: Mask R-CNN (ICCV 2017), section 3, RoIAlign.

    Args:
        levels: (B, C, h_i, w_i) each, finest first.
        strides: input pixels per pixel of each level.
        boxes: (R, 4), (left, top, right, bottom) in input pixels.
        image: (R,) integers, which image of the batch each is in.
        cells: of a side.

    Returns:
        (R, C, cells, cells).
    """
    regions = torch.cat((image.to(boxes)[:, None], boxes), dim=1)
    found = boxes.new_zeros((len(boxes), levels[0].shape[1], cells, cells), dtype=torch.float32)
    chosen = pyramid_level(boxes, len(levels))
    for index, (level, stride) in enumerate(zip(levels, strides, strict=True)):
        here = torch.nonzero(chosen == index)[:, 0]
        pooled = roi_align(level.float(), regions[here], cells, 1 / stride, sampling_ratio=0, aligned=True)
        found = found.index_put((here,), pooled)
    return found


def on_valid_places(valid: Tensor, look: Callable[[Tensor, Tensor], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What a module finds at the valid places of a batch, computed for these alone and padded with zeros.

    Where there is none, the first place of all stands in, so that every parameter has a gradient, of 0 where losses
    count valid places only.

    Args:
        valid: (B, P) bool.
        look: ((R,) image of the batch, (R,) place in the image) -> named results (R, ...).

    Returns:
        (B, P, ...) each.
    """
    image, place = torch.nonzero(valid, as_tuple=True)
    if not len(image):
        image = place = torch.zeros(1, dtype=torch.int64, device=valid.device)
    return {
        name: value.new_zeros((*valid.shape, *value.shape[1:])).index_put((image, place), value)
        for name, value in look(image, place).items()
    }
