"""Learnt positions on a grid, for grids of other sizes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize_positions(positions: Tensor, height: int, width: int) -> Tensor:
    """A square table of positions (side * side, C) for a grid of another size, (height * width, C); bilinear, as TCM.

    The table itself where the size is its own.
    """
    side = round(positions.shape[0] ** 0.5)
    if (height, width) == (side, side):
        return positions
    table = positions.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(table, (height, width), mode="bilinear", align_corners=False)
    return resized[0].flatten(1).transpose(0, 1)
