"""Neck and head of DRRG, and the graph network that decides which components belong together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scenetext.contracts import Maps, Proposals
from scenetext.detectors.drrg.config import DRRGSettings
from scenetext.detectors.drrg.node_features import CELLS, GEOMETRY_CHANNELS, embed_geometry, pool_rotated
from scenetext.layers.fpn_unet import FpnUnet
from scenetext.layers.region_pooling import on_valid_places
from scenetext.structures import Features

MAPS = ("text", "centre", "sin", "cos", "top", "bottom")
"""In the order of the convolution's channels."""
GRAPH_WIDTHS = (512, 256, 128, 64)
"""Channels of the graph convolutions."""


class DRRGHead(nn.Module):
    """Features to the six maps of DRRG, at the size of the image, and to links between components (figure 2).

    Args:
        config: width of the neck.
        channels: of the four levels, at strides 4, 8, 16 and 32.

    Raises:
        ConfigError: not four levels.
    """

    def __init__(self, config: DRRGSettings, channels: Sequence[int]) -> None:
        super().__init__()
        self.neck = FpnUnet(channels, config.width)
        self.maps = nn.Conv2d(config.width, len(MAPS), 1)
        nn.init.normal_(self.maps.weight, std=0.01)
        nn.init.zeros_(self.maps.bias)  # type: ignore[arg-type]
        self.later = nn.ModuleDict({"links": LinkNetwork(config)})

    def forward(self, features: Features) -> dict[str, Tensor]:
        """Features of images (B, 3, H, W) to maps (B, H, W), and to what the links are found with.

        Returns:
            text, centre: logits.
            sin, cos: direction from the bottom to the top of the text, y downwards; not of unit length.
            top, bottom: distance to the top and the bottom of the text, pixels; may be negative.
            features: (B, width + 6, H, W), the neck's and all maps.
        """
        feature = self.neck(features.levels)
        maps = self.maps(feature)
        return {**dict(zip(MAPS, maps.unbind(dim=1), strict=True)), "features": torch.cat((feature, maps), dim=1)}


class LinkNetwork(nn.Module):
    """A graph convolution network over the local graph of every component (section 3.5)."""

    def __init__(self, config: DRRGSettings) -> None:
        super().__init__()
        self.as_published = config.as_published
        channels = (config.width + len(MAPS)) * CELLS[0] * CELLS[1] + GEOMETRY_CHANNELS
        self.norm = nn.BatchNorm1d(channels, affine=False)
        self.convolutions = nn.ModuleList(
            GraphConvolution(before, after)
            for before, after in zip((channels, *GRAPH_WIDTHS[:-1]), GRAPH_WIDTHS, strict=True)
        )
        self.classifier = nn.Sequential(nn.Linear(GRAPH_WIDTHS[-1], 32), nn.PReLU(32), nn.Linear(32, 2))

    def forward(self, maps: Maps, proposals: Proposals) -> dict[str, Tensor]:
        """Links of all components whose graph is looked at.

        Args:
            maps: "features" (B, C, H, W).
            proposals: see `proposals.propose`, (B, P, ...), with "valid" (B, P).

        Returns:
            link: (B, P, K) logits, that a component and its K nearest ones are of one text; 0 where not looked at.
        """
        described = self._describe(maps["features"], proposals)

        def look(image: Tensor, place: Tensor) -> dict[str, Tensor]:
            nodes, known, nearest, adjacent = (
                proposals[name][image, place] for name in ("nodes", "has_node", "nearest", "adjacent")
            )
            # Where no component is valid, the dummy is the only node of its graph.
            known = torch.cat((torch.ones_like(known[:, :1]), known[:, 1:]), dim=1)
            relative = described[image[:, None], nodes] - described[image, place][:, None]
            found = self.convolve(relative, known, adjacent)
            at = nearest[:, :, None] == nodes[:, None]
            chosen = found[torch.arange(len(at), device=at.device)[:, None], (at & known[:, None]).long().argmax(dim=2)]
            apart, linked = self.classifier(chosen.flatten(0, 1)).float().unbind(dim=1)
            return {"link": (linked - apart).view(chosen.shape[:2])}

        return on_valid_places(proposals["valid"] & proposals["is_pivot"], look)

    def _describe(self, features: Tensor, proposals: Proposals) -> Tensor:
        """(B, P, N) what every component looks like and where it is, in float32; 0 where it is not valid."""
        images = []
        with torch.autocast(features.device.type, enabled=False):
            for feature, boxes, valid in zip(features, proposals["boxes"], proposals["valid"], strict=True):
                pooled = pool_rotated(feature, boxes, self.as_published).flatten(1)
                described = torch.cat((pooled, embed_geometry(boxes, self.as_published)), dim=1)
                images.append(described * valid[:, None])
        return torch.stack(images)

    def convolve(self, nodes: Tensor, known: Tensor, adjacent: Tensor) -> Tensor:
        """Features of the nodes of G graphs.

        Args:
            nodes: (G, M, N), relative to the pivot.
            known: (G, M) bool, the nodes that there are; the norm sees these only.
            adjacent: (G, M, M) bool, of nodes that there are.

        Returns:
            (G, M, 64).
        """
        result = torch.zeros_like(nodes).masked_scatter(known[..., None], self._normalise(nodes[known]))
        weights = adjacent.to(result)
        degree = weights.sum(dim=2).clamp(min=1).rsqrt()
        weights = degree[:, :, None] * weights * degree[:, None]
        for convolution in self.convolutions:
            result = convolution(result, weights)
        return result

    def _normalise(self, nodes: Tensor) -> Tensor:
        """(N, C) float32; a single node, which has no variance, by the running statistics."""
        if self.training and len(nodes) < 2:
            return F.batch_norm(nodes, self.norm.running_mean, self.norm.running_var)
        result: Tensor = self.norm(nodes)
        return result


class GraphConvolution(nn.Module):
    """Every node from itself and the mean of its neighbours, then ReLU.

    Args:
        channels: of the nodes.
        width: channels of the result.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2 * channels, width))
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, nodes: Tensor, weights: Tensor) -> Tensor:
        """nodes: (G, M, channels); weights: (G, M, M), of the neighbours of each; to (G, M, width)."""
        return F.relu(torch.cat((nodes, weights @ nodes), dim=2) @ self.weight + self.bias)


def head(config: DRRGSettings, channels: Sequence[int]) -> DRRGHead:
    """Neck and head for an encoder with these channels; see `DRRGHead`."""
    return DRRGHead(config, channels)
