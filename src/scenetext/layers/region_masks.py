"""Polygons as masks in boxes of their own, computed on the device for all regions at once."""

from __future__ import annotations

import torch
from torch import Tensor

_COMPARISONS_AT_ONCE = 1 << 24
"""Bounds memory to some tens of MB."""


def polygon_masks(polygons: Tensor, boxes: Tensor, cells: int) -> Tensor:
    """Which cells of a box have their centre in a polygon, by the rule of even and odd.

    Args:
        polygons: (R, V, 2); repeated vertices change nothing.
        boxes: (R, 4), (left, top, right, bottom) in the frame of the polygons; without an extent, no cell is inside.
        cells: of a side.

    Returns:
        (R, cells, cells) bool, row by row.
    """
    size = boxes[:, None, 2:] - boxes[:, None, :2]
    scaled = (polygons - boxes[:, None, :2]) / size.clamp(min=1e-6) * cells
    scaled = torch.where(size > 0, scaled, torch.zeros_like(scaled))
    step = max(1, _COMPARISONS_AT_ONCE // (cells**2 * max(1, polygons.shape[1])))
    parts = [_mask(scaled[start : start + step], cells) for start in range(0, len(scaled), step)]
    return torch.cat(parts) if parts else polygons.new_zeros((0, cells, cells), dtype=torch.bool)


def _mask(polygons: Tensor, cells: int) -> Tensor:
    """The same of polygons (R, V, 2) in cells."""
    centre = torch.arange(cells, device=polygons.device) + 0.5
    start, end = polygons[:, None], polygons.roll(-1, dims=1)[:, None]
    row = centre[:, None]
    # Where the line through every row's centres crosses an edge: (R, rows, V).
    crosses = (start[..., 1] > row) != (end[..., 1] > row)
    rise = torch.where(crosses, end[..., 1] - start[..., 1], torch.ones_like(row))
    x = start[..., 0] + (row - start[..., 1]) / rise * (end[..., 0] - start[..., 0])
    x = torch.where(crosses, x, torch.full_like(x, -torch.inf))
    return (x[:, :, None] > centre[:, None]).sum(dim=3) % 2 == 1
