"""The second look of TextBPN: features at the points of a proposal move these points towards the boundary of the text.

Three networks of one form do so, one after the other (section 3.4). TextBPN's reads the points along the boundary and
round the ring that they form; TextBPN++ has another in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.contracts import Maps, Proposals
from scenetext.detectors.textbpn.config import POINTS

NODE_CHANNELS = 36
"""Channels of the features at a point: 32 of the neck, and the four maps."""
WIDTH = 128
"""Channels that each of the parallel ways gives."""
LARGEST_MOVE = 16.0
"""Pixels that a coordinate is moved by at most, in one step."""
NEIGHBOURS = 2
"""Points on either side that a point is joined with in the graph."""


class BoundaryRefinement(nn.Module):
    """Moves the points of every proposal, several times.

    Args:
        steps: networks, one after the other: features (N, 36, 20) of N boundaries -> moves (N, 2, 20) in pixels.
        stride: input pixels per pixel of the features.
        border: points stay as many pixels away from the outermost ones of the image.
    """

    def __init__(self, steps: Sequence[nn.Module], stride: int, border: int) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.stride = stride
        self.border = border

    def forward(self, maps: Maps, proposals: Proposals) -> dict[str, Tensor]:
        """Boundaries after every step, computed for valid proposals alone (for all, if there is no valid one).

        Args:
            maps: "features" (B, 36, h, w).
            proposals: "proposal" (B, P, 20, 2), (x, y) in pixels of the image; "valid" (B, P).

        Returns:
            refined: (B, P, 3, 20, 2) float32, pixels of the image; where a proposal is not valid, the proposal itself.
        """
        features = maps["features"].float()
        points, valid = proposals["proposal"].float(), proposals["valid"]
        chosen = valid if valid.any() else torch.ones_like(valid)
        height, width = features.shape[-2:]
        largest = points.new_tensor((width, height)) * self.stride - 1 - self.border
        refined = []
        for step in self.steps:
            nodes = sample_points(features, points, self.stride)[chosen]
            move = step(nodes.transpose(1, 2)).float().transpose(1, 2)
            moved = points[chosen] + move.clamp(-LARGEST_MOVE, LARGEST_MOVE)
            moved = torch.minimum(moved.clamp(min=self.border), largest)
            points = points.masked_scatter(chosen[..., None, None], moved)
            refined.append(points)
        return {"refined": torch.stack(refined, dim=2)}


def sample_points(features: Tensor, points: Tensor, stride: int) -> Tensor:
    """Features at points of the image, bilinear, 0 outside.

    The feature of pixel (x, y) is read half a pixel further to the top left than where it is, as published: weights
    have learnt with that.

    Args:
        features: (B, C, h, w) float32.
        points: (B, P, K, 2) float32, (x, y) in pixels of the image.
        stride: input pixels per pixel of the features.

    Returns:
        (B, P, K, C) float32.
    """
    height, width = features.shape[-2:]
    grid = points / (points.new_tensor((width, height)) * (stride / 2)) - 1
    with torch.autocast(device_type=features.device.type, enabled=False):
        return F.grid_sample(features, grid, align_corners=False).permute(0, 2, 3, 1)


class RingConvolution(nn.Module):
    """Graph convolution (Kipf and Welling, ICLR 2017) on a ring, whose points see the mean of their neighbourhood.

    Args:
        channels: of a point.
        width: channels of the result.
    """

    adjacency: Tensor

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2 * channels, width))
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.xavier_uniform_(self.weight)
        steps = range(-NEIGHBOURS, NEIGHBOURS + 1)
        adjacency = torch.stack([torch.eye(POINTS).roll(step, dims=0) for step in steps]).mean(dim=0)
        self.register_buffer("adjacency", adjacency, persistent=False)

    def forward(self, nodes: Tensor) -> Tensor:
        """nodes: (N, 20, channels), to (N, 20, width)."""
        around = self.adjacency.to(nodes.dtype) @ nodes
        return F.relu(F.linear(torch.cat((nodes, around), dim=-1), self.weight.t(), self.bias))


class RecurrentStep(nn.Module):
    """One refinement of TextBPN (figure 4): an LSTM along the boundary, a graph round its ring, and each point alone.

    Args:
        dropout: of both layers that come before the moves.
    """

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(NODE_CHANNELS, affine=False)
        self.sequence = nn.LSTM(NODE_CHANNELS, WIDTH, batch_first=True, bidirectional=True)
        widths = (NODE_CHANNELS, 256, 1024, 512, WIDTH)
        self.graph = nn.Sequential(*(RingConvolution(*pair) for pair in pairwise(widths)))
        self.alone = nn.Conv1d(NODE_CHANNELS, WIDTH, 1)
        self.predict = nn.Sequential(
            *(nn.Conv1d(4 * WIDTH, WIDTH, 1), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Conv1d(WIDTH, WIDTH // 2, 1), nn.ReLU(), nn.Dropout(dropout)),
            nn.Conv1d(WIDTH // 2, 2, 1),
        )
        initialise_point_convolutions(self, 0.01)

    def forward(self, nodes: Tensor) -> Tensor:
        """nodes: (N, 36, 20), to moves (N, 2, 20)."""
        nodes = self.norm(nodes)
        points = nodes.transpose(1, 2)
        along, around = self.sequence(points)[0], self.graph(points)
        together = torch.cat((along.transpose(1, 2), around.transpose(1, 2), self.alone(nodes)), dim=1)
        moves: Tensor = self.predict(together)
        return moves


def initialise_point_convolutions(module: nn.Module, deviation: float) -> None:
    """A normal distribution for the weights of all convolutions along boundaries, 0 for their biases."""
    for part in module.modules():
        if isinstance(part, nn.Conv1d):
            nn.init.normal_(part.weight, std=deviation)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
