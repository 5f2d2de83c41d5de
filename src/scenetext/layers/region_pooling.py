"""Features at boxes: RoI align from the level of a feature pyramid that fits the size of the box."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
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
    chosen = pyramid_level(boxes, len(levels))
    if boxes.device.type == "cpu" and not torch.is_grad_enabled():
        return _pool_as_sums(levels, strides, boxes, image, chosen, cells)
    regions = torch.cat((image.to(boxes)[:, None], boxes), dim=1)
    here = [torch.nonzero(chosen == index)[:, 0] for index in range(len(levels))]
    pooled = [
        roi_align(level.float(), regions[which], cells, 1 / stride, sampling_ratio=0, aligned=True)
        for level, stride, which in zip(levels, strides, here, strict=True)
    ]
    return torch.cat(pooled)[torch.cat(here).argsort()]


def _pool_as_sums(
    levels: Sequence[Tensor], strides: Sequence[int], boxes: Tensor, image: Tensor, chosen: Tensor, cells: int
) -> Tensor:
    """What RoI align gives, without gradient and on a CPU several times as fast.

    The samples of a cell are a grid, so that the weight of a pixel of the map is the product of one for its row and one
    for its column. Each cell then is a weighted sum of few whole pixels, all their channels at once; torchvision's
    operator reads four numbers for every sample and channel.

    Args:
        chosen: (R,) int64, the level of each box.
    """
    table = torch.cat([level.movedim(1, -1).flatten(0, 2) for level in levels]).float()
    sizes = torch.tensor([level.shape[-2:] for level in levels])
    ends = (len(levels[0]) * sizes.prod(dim=1)).cumsum(0)
    height, width = sizes[chosen].unbind(dim=1)
    scaled = boxes / torch.tensor(strides)[chosen, None]
    top, row_weights = _axis_weights(scaled[:, 1], scaled[:, 3], height, cells)
    left, column_weights = _axis_weights(scaled[:, 0], scaled[:, 2], width, cells)
    first_row = (torch.cat((ends.new_zeros(1), ends))[chosen] + image.long() * height * width)[:, None, None]
    start = first_row + top[:, :, None] * width[:, None, None] + left[:, None]
    # Every cell has as many entries as its box needs; entry (i, j) is the pixel i below and j beside the first one.
    rows, columns = (_used(each) for each in (row_weights, column_weights))
    counts = (rows * columns).repeat_interleave(cells**2)
    cell = torch.arange(len(counts)).repeat_interleave(counts)
    offsets = counts.cumsum(0) - counts
    entry = torch.arange(len(cell)) - offsets[cell]
    box, in_box = cell // cells**2, cell % cells**2
    i, j = entry // columns[box], entry % columns[box]
    weights = row_weights[box, in_box // cells, i] * column_weights[box, in_box % cells, j]
    index = start.flatten()[cell] + i * width[box] + j
    summed = F.embedding_bag(index.clamp(max=len(table) - 1), table, offsets, mode="sum", per_sample_weights=weights)
    return summed.view(len(boxes), cells, cells, table.shape[1]).movedim(-1, 1).contiguous()


def _axis_weights(low: Tensor, high: Tensor, size: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """How much every pixel along one axis counts in the cells of boxes from low to high, as RoI align samples it.

    Args:
        low, high: (R,), pixels of the map.
        size: (R,) int64, pixels along the axis.

    Returns:
        (R, cells) int64, the first pixel that counts in a cell, and (R, cells, K) the weights of the pixels from it on.
    """
    step = (high - low) / cells
    samples = step.ceil().clamp(min=0)
    number = torch.arange(int(samples.max()) if len(samples) else 0)
    cell = torch.arange(cells)[:, None]
    shares = (number + 0.5) / samples.clamp(min=1)[:, None]
    position = (low - 0.5)[:, None, None] + (cell + shares[:, None]) * step[:, None, None]
    last = (size - 1)[:, None, None]
    counts = (number < samples[:, None])[:, None] & (position >= -1) & (position <= size[:, None, None])
    position = torch.minimum(position.clamp(min=0), last.to(position))
    pixel = position.long()
    upper = (position - pixel) * counts
    lower = (1 - (position - pixel)) * counts
    first = torch.where(counts, pixel, last).amin(dim=2) if len(number) else torch.zeros(len(low), cells).long()
    weights = position.new_zeros(len(low), cells, len(number) + 2)
    behind = (pixel - first[..., None]).clamp(0, len(number))
    weights.scatter_add_(2, behind, lower).scatter_add_(2, behind + 1, upper)
    return first, weights / samples.clamp(min=1)[:, None, None]


def _used(weights: Tensor) -> Tensor:
    """(R,) int64, how many of the pixels (R, cells, K) from the first one on count in some cell of the box."""
    return ((weights != 0).any(dim=1) * torch.arange(1, 1 + weights.shape[2])).amax(dim=1)


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
