"""The losses of FCENet (section 3.3), each summed over the three levels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.contracts import Maps, Targets
from scenetext.detectors.fcenet.config import STRIDES, FCENetSettings
from scenetext.detectors.fcenet.fourier import contour_matrix
from scenetext.layers.pixel_losses import balanced_cross_entropy

OUTSIDE_WEIGHT = 0.5
"""Weight in the centre loss of the pixels outside text; lambda of equation 6."""


def loss(maps: Maps, targets: Targets, config: FCENetSettings) -> dict[str, Tensor]:
    """The unweighted loss terms of a batch, computed in float32 also under autocast.

    Args:
        maps: what the head gives.
        targets: what `targets` makes, with leading axis B.
        config: share of negatives, and points of a contour.

    Returns:
        text: cross-entropy of the text region, over text and the hardest background outside ignored text.
        centre: cross-entropy of the centre region, inside text and outside of it; outside includes ignored text, as
            published.
        contour_x, contour_y: smooth L1 distance of the points of the contours, in map pixels, over all pixels of text
            and half as much outside the centre region.
        Scalars float32, finite also without any text.
    """
    with torch.autocast(device_type=maps["text_8"].device.type, enabled=False):
        levels = [_level_terms(maps, targets, stride, config) for stride in STRIDES]
    return {name: torch.stack([terms[name] for terms in levels]).sum() for name in levels[0]}


def _level_terms(maps: Maps, targets: Targets, stride: int, config: FCENetSettings) -> dict[str, Tensor]:
    """The loss terms of one level."""
    text, valid = targets[f"text_{stride}"], targets[f"valid_{stride}"]
    centre = targets[f"centre_{stride}"].float()
    learnt = (text != 0) & (valid != 0)
    contour_x, contour_y = _contour_losses(
        maps[f"contour_{stride}"], targets[f"contour_{stride}"], learnt, centre, config
    )
    return {
        "text": balanced_cross_entropy(
            maps[f"text_{stride}"], text, valid, config.negative_ratio, config.negatives_without_text
        ),
        "centre": _centre_loss(maps[f"centre_{stride}"].float(), centre, learnt),
        "contour_x": contour_x,
        "contour_y": contour_y,
    }


def _centre_loss(logits: Tensor, centre: Tensor, learnt: Tensor) -> Tensor:
    """Mean cross-entropy inside text plus half of that outside (equation 6); (B, h, w) each."""
    each = F.binary_cross_entropy_with_logits(logits, centre, reduction="none")
    inside, outside = learnt.float(), (~learnt).float()
    mean_inside = (each * inside).sum() / inside.sum().clamp(min=1)
    return mean_inside + OUTSIDE_WEIGHT * (each * outside).sum() / outside.sum().clamp(min=1)


def _contour_losses(
    predicted: Tensor, target: Tensor, learnt: Tensor, centre: Tensor, config: FCENetSettings
) -> tuple[Tensor, Tensor]:
    """Distances of the points of contours (B, 2 (2 K + 1), h, w), weighted by region (equations 7 and 8).

    Points follow linearly from coefficients: so the points of the difference are the difference of the points. Only
    the pixels of text, a few percent, are gathered.
    """
    difference = predicted.permute(0, 2, 3, 1)[learnt].float() - target.permute(0, 2, 3, 1)[learnt]
    matrix = torch.tensor(contour_matrix(config.degree, config.loss_points)).to(difference)
    points = difference @ matrix
    distances = F.smooth_l1_loss(points, torch.zeros_like(points), reduction="none")
    weight = (1 + centre[learnt]) / 2
    x, y = (distance.mean(dim=1) @ weight / max(len(weight), 1) for distance in distances.chunk(2, dim=1))
    return x, y
