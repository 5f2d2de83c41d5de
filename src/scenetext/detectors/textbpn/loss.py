"""The losses of TextBPN and TextBPN++; of which ones a training consists, their weights say."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from scenetext.contracts import Maps, Targets
from scenetext.detectors.textbpn.config import POINTS, BoundarySettings
from scenetext.detectors.textbpn.refinement import sample_points
from scenetext.layers.pixel_losses import balanced_cross_entropy, masked_mean, sum_of_largest

TEXT_DISTANCE = 1e-3
"""True distances from this count as text in the distance loss."""
LEAST_ENERGY = 0.01
"""Boundaries of less energy than this are on the border of their text."""
_LENGTH = 0.999999


def loss(maps: Maps, targets: Targets, config: BoundarySettings) -> dict[str, Tensor]:
    """The unweighted loss terms of a batch, computed in float32 also under autocast.

    Args:
        maps: what head and stage give.
        targets: what `targets` makes, with leading axis B.
        config: which cross-entropy, and the share of negatives.

    Returns:
        text: cross-entropy of the text region (TextBPN, equation 4).
        distance: squared error of the distance map inside text and at the worst pixels outside (equation 4).
        direction: squared error of the direction map, with the weights of the targets, mean over image rows; the mean
            of both channels, where TextBPN's unused one was the sum (equation 5).
        angle: one minus the cosine between true and predicted direction, mean inside text (equation 5).
        points: smooth L1 distance of refined from true points, the best cyclic shift, mean over texts and steps
            (equation 6).
        energy: of refined boundaries, and how far it grew in a step (TextBPN++, section III-D).
        Scalars float32, finite also without any text.
    """
    valid = targets["valid"].float()
    with torch.autocast(device_type=valid.device.type, enabled=False):
        full = {name: value.float() for name, value in maps.items() if name in ("text", "distance", "direction")}
        truth, predicted = unit_vectors(targets["direction"].float(), config.distance_margin), full["direction"]
        inside = (valid != 0) & (targets["text"] != 0)
        cosine = F.cosine_similarity(predicted, truth, dim=1)
        error = (predicted - truth).square().mean(dim=1)
        return {
            "text": _text_loss(full["text"], targets, config),
            "distance": _distance_loss(full["distance"].sigmoid(), targets, config),
            "direction": (_with_background(targets["weight"]) * valid * error).sum() / valid[..., 0].numel(),
            "angle": masked_mean(1 - cosine, inside),
            "points": _point_loss(maps),
            "energy": _energy_loss(maps, targets["distance"], config.stride),
        }


def unit_vectors(offsets: Tensor, margin: float) -> Tensor:
    """Offsets (B, 2, h, w) as vectors of a length just below 1, as published; 0 stays 0."""
    return _LENGTH * offsets / (offsets.norm(dim=1, keepdim=True) + margin)


def _with_background(weight: Tensor) -> Tensor:
    """Weights (B, h, w) of pixels; those of the background, which are 0, are 1 / sqrt(its number of pixels)."""
    background = weight == 0
    count = background.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    return torch.where(background, count.rsqrt(), weight)


def _text_loss(logits: Tensor, targets: Targets, config: BoundarySettings) -> Tensor:
    """Over text and the hardest background of the batch, or over all pixels, ignored ones (0) in the mean."""
    text, valid = targets["text"], targets["valid"]
    if config.text_loss == "balanced":
        return balanced_cross_entropy(logits, text, valid, config.negative_ratio, config.negatives_without_text)
    each = F.binary_cross_entropy_with_logits(logits, text.float(), reduction="none")
    return (each * valid).mean()


def _distance_loss(distance: Tensor, targets: Targets, config: BoundarySettings) -> Tensor:
    """Mean over the images of the mean inside text plus that of the hardest pixels outside; (B, h, w).

    Ignored text counts as inside, with an error of 0, as published.
    """
    truth = targets["distance"]
    errors = (distance - truth).square() * targets["valid"]
    terms = []
    for error, inside in zip(errors, truth >= TEXT_DISTANCE, strict=True):
        positives = inside.sum()
        wanted = torch.where(positives > 0, (positives * config.negative_ratio).long(), config.negatives_without_text)
        negatives = torch.minimum((~inside).sum(), wanted)
        hardest = sum_of_largest(error * ~inside, negatives) / negatives.clamp(min=1)
        terms.append(masked_mean(error, inside) + hardest)
    return torch.stack(terms).mean()


def _point_loss(maps: Maps) -> Tensor:
    """Distance of the points of valid refined boundaries (B, P, S, 20, 2) from the true ones, over shifts the least."""
    valid = maps["boundary.valid"]
    refined, truth = maps["boundary.refined"].float()[valid], maps["boundary.truth"][valid]
    numbers = torch.arange(POINTS, device=valid.device)
    shifted = truth[:, (numbers[:, None] + numbers) % POINTS]  # (N, shifts, 20, 2)
    refined = refined[:, :, None].expand(-1, -1, POINTS, -1, -1)
    distances = F.smooth_l1_loss(refined, shifted[:, None].expand_as(refined), reduction="none")
    distances = distances.sum(dim=-1).mean(dim=-1)
    return distances.amin(dim=2).sum() / max(distances[..., 0].numel(), 1)


def _energy_loss(maps: Maps, distance: Tensor, stride: int) -> Tensor:
    """Mean over steps of the energy of valid boundaries and of its growth since the step before."""
    valid = maps["boundary.valid"]
    boundaries = torch.cat((maps["boundary.proposal"][:, :, None], maps["boundary.refined"].float()), dim=2)
    read = sample_points(distance[:, None].float(), boundaries.flatten(1, 2), stride)
    energy = read.sum(dim=(2, 3)).view(boundaries.shape[:3])[valid]
    before, after = energy[:, :-1], energy[:, 1:]
    terms = after * (after > LEAST_ENERGY) + F.relu(after - before)
    return terms.sum() / max(terms.numel(), 1)
