"""What a component is described by: the features inside its rotated box, and its geometry in waves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CELLS = (4, 3)
"""Rows and columns of the cells that a box is pooled to; columns lie along the height of the text."""
WAVES = 20
"""Waves of the geometric embedding, of every one of the six numbers of a component."""
GEOMETRY_CHANNELS = 6 * WAVES


def pool_rotated(feature: Tensor, boxes: Tensor, as_published: bool) -> Tensor:
    """Means of bilinear samples inside rotated boxes, by cells: rotated RoI align, in float32.

    A cell has about one sample for every pixel of its extent. Samples more than a pixel outside of the feature count
    as 0. Source: DRRG (CVPR 2020), section 3.4; sampling as mmcv's operator of that name.

    Args:
        feature: (C, H, W).
        boxes: (R, 6) float32 x, y, height, width, cosine and sine of the upward direction, y downwards, pixels.
        as_published: the angle is taken as of y upwards, so the boxes of slanted text lean to the other side.

    Returns:
        (R, C, rows, columns).
    """
    x, y, height, width, cos, sin = boxes.float().unbind(dim=1)
    angle = torch.acos(cos.clamp(-1, 1)) * sin.sign()
    angle = angle if as_published else -angle
    points, cell, counts = _samples_in_cells(height.clamp(min=1e-3), width.clamp(min=1e-3))
    box = cell // (CELLS[0] * CELLS[1])
    along, across = points[:, 0] * height[box], points[:, 1] * width[box]
    turn_cos, turn_sin = angle.cos()[box], angle.sin()[box]
    at = torch.stack(
        (
            x[box] - 0.5 + across * turn_sin + along * turn_cos,
            y[box] - 0.5 + across * turn_cos - along * turn_sin,
        ),
        dim=1,
    )
    values = _sample(feature.float(), at)
    pooled = values.new_zeros((len(boxes) * CELLS[0] * CELLS[1], len(feature))).index_add(0, cell, values)
    pooled = pooled / counts[:, None]
    return pooled.view(len(boxes), *CELLS, len(feature)).permute(0, 3, 1, 2)


def _samples_in_cells(height: Tensor, width: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The samples of R boxes of these sizes (R,) as one list of S.

    Returns:
        (S, 2) offsets from the middle along the height and along the width, as shares of them; (S,) the cell of each,
        box by box, row by row; and (R rows columns,) how many samples a cell has.
    """
    rows, columns = CELLS
    across = (width / rows).ceil().long().repeat_interleave(rows * columns)
    along = (height / columns).ceil().long().repeat_interleave(rows * columns)
    counts = across * along
    cell = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    within = torch.arange(len(cell), device=counts.device) - (counts.cumsum(0) - counts)[cell]
    row, column = cell // columns % rows, cell % columns
    step_across, step_along = within // along[cell], within % along[cell]
    share_along = (column + (step_along + 0.5) / along[cell]) / columns - 0.5
    share_across = (row + (step_across + 0.5) / across[cell]) / rows - 0.5
    return torch.stack((share_along, share_across), dim=1), cell, counts


def _sample(feature: Tensor, at: Tensor) -> Tensor:
    """(S, C) values of a feature (C, H, W) at points (S, 2), (x, y), pixel centres at integers."""
    height, width = feature.shape[1:]
    size = at.new_tensor((width, height))
    grid = 2 * at / (size - 1).clamp(min=1) - 1
    values = F.grid_sample(feature[None], grid[None, None], padding_mode="border", align_corners=True)[0, :, 0].t()
    inside = ((at >= -1) & (at <= size)).all(dim=1)
    return values * inside[:, None]


def embed_geometry(boxes: Tensor, as_published: bool) -> Tensor:
    """Components (R, 6), x, y, height, width, cos, sin, as sines and cosines of 20 waves, (R, 120) float32.

    Wave j divides by 1000^(2 floor(j / 2) / 20); the columns are wave by wave. Sines for even waves and cosines for odd
    ones; as published, for components of even and of odd number in the list, whatever that order is.
    """
    wave = torch.arange(WAVES, device=boxes.device)
    divisor = 1000.0 ** (2 * (wave // 2) / WAVES)
    phase = boxes.float()[:, None] / divisor[:, None]
    even = (torch.arange(len(boxes), device=boxes.device)[:, None, None] if as_published else wave[:, None]) % 2 == 0
    return torch.where(even, phase.sin(), phase.cos()).flatten(1)
