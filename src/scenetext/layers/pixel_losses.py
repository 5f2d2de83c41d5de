"""Losses over maps of pixels: balanced cross-entropy, dice, masked L1. All of them float32, and safe on empty maps.

`to_one_size` brings logits and targets to one size. Every loss takes maps of one shape, counts over all of their
pixels together (the batch included) unless it says "of every map", stays on the device without waiting for it, and
gives a zero that is tied to the graph where there is nothing to learn from.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor


def balanced_cross_entropy(
    logits: Tensor, target: Tensor, valid: Tensor, negative_ratio: float = 3.0, negatives_without_positive: int = 0
) -> Tensor:
    """Binary cross-entropy, averaged over all positive pixels and the hardest negative ones.

    Args:
        logits: float, any shape.
        target: same shape, 1 where positive, else 0; any type.
        valid: same shape, 1 where the target is known, else 0; any type.
        negative_ratio: negatives that count, per positive.
        negatives_without_positive: negatives that count where there is no positive.

    Returns:
        Scalar float32. Source: DB (AAAI 2020), equation 8; the average as in its official code.
    """
    known = valid != 0
    positive = (target != 0) & known
    negative = (target == 0) & known
    positives = positive.sum()
    wanted = (positives * negative_ratio).long()
    wanted = torch.where(positives > 0, wanted, negatives_without_positive)
    negatives = torch.minimum(negative.sum(), wanted)

    each = F.binary_cross_entropy_with_logits(logits.float(), positive.float(), reduction="none")
    total = (each * positive).sum() + sum_of_largest(each * negative, negatives)
    return total / (positives + negatives + 1e-6)


def sum_of_largest(values: Tensor, count: Tensor) -> Tensor:
    """Sum of the largest values, where how many is known only on the device.

    `torch.topk` needs that number on the host, which makes the host wait for the device in every training step.
    Instead the smallest value that counts is found bit by bit, since floats that are not negative are ordered like
    their bits. Values equal to it share what is left of `count`, in the sum and in the gradient.

    Args:
        values: float32, any shape, none negative.
        count: scalar integer tensor, from 0 to the number of values.

    Returns:
        Scalar float32, the same as `values.flatten().topk(count).values.sum()`.
    """
    bits = values.detach().reshape(1, -1).view(torch.int32)
    smallest = _smallest_of_largest(bits, count.reshape(1))
    bits = bits.view(values.shape)
    larger, equal = bits > smallest, bits == smallest
    share = (count - larger.sum()) / equal.sum().clamp(min=1)
    return (values * (larger + equal * share)).sum()


def _smallest_of_largest(bits: Tensor, count: Tensor) -> Tensor:
    """The `count`-th largest of every row, (B,) int32, found from the highest bit to the lowest.

    Args:
        bits: (B, N) int32, none negative.
        count: (B,) integer tensor, from 0 to N; 0 gives the largest int32 (as a float not a number).
    """
    smallest = torch.zeros_like(count, dtype=torch.int32)
    for position in range(30, -1, -1):
        candidate = smallest + (1 << position)
        # A bit belongs to the result where at least `count` values are no smaller with it set.
        enough = torch.count_nonzero(bits >= candidate[:, None], dim=1) >= count
        smallest = torch.where(enough, candidate, smallest)
    return smallest


def hardest_pixels(probability: Tensor, target: Tensor, valid: Tensor, negative_ratio: float = 3.0) -> Tensor:
    """The positive pixels and the hardest negative ones of every map: online hard example mining.

    Args:
        probability: (B, H, W) float in [0, 1].
        target, valid: (B, H, W), as for `balanced_cross_entropy`.
        negative_ratio: negatives that are selected, per positive; more where several are equally hard.

    Returns:
        (B, H, W) bool; nothing in a map without positive pixels, where a dice loss has no gradient. Source: PSENet
        (CVPR 2019), section 3.5, and its official code for the selection within each image.
    """
    known = valid != 0
    positive = (target != 0) & known
    negative = (target == 0) & known
    wanted = (positive.flatten(1).sum(dim=1) * negative_ratio).long()
    count = torch.minimum(wanted, negative.flatten(1).sum(dim=1))
    score = probability.detach().float()
    bits = (score * negative).flatten(1).view(torch.int32)
    threshold = _smallest_of_largest(bits, count).view(torch.float32)
    return positive | (negative & (score >= threshold[:, None, None]))


def dice_loss(probability: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """One minus the overlap 2 |P T| / (|P| + |T|) of a map of probabilities with a binary one.

    Args:
        probability: float in [0, 1], any shape.
        target, valid: as for `balanced_cross_entropy`.

    Returns:
        Scalar float32 in [0, 1]. Where there is no positive it is 0, where the official code gives a constant 1: the
        gradient is 0 in both. Source: V-Net (3DV 2016), section 3, with plain sums as in DB's official code.
    """
    known = valid.float()
    expected = target.float() * known
    predicted = probability.float() * known
    overlap = 2 * (predicted * expected).sum() / (predicted.sum() + expected.sum() + 1e-6)
    return (1 - overlap) * (expected.sum() > 0)


def squared_dice_loss(probability: Tensor, target: Tensor, selected: Tensor) -> Tensor:
    """One minus the overlap 2 P T / (|P|^2 + |T|^2) of every map, averaged over the maps.

    Args:
        probability: (N, H, W) float in [0, 1].
        target: (N, H, W), 1 where positive, else 0; any type.
        selected: (N, H, W), 1 where a pixel counts, else 0; any type.

    Returns:
        Scalar float32 in [0, 1]. A map without a selected positive pixel adds 0 to the sum, where the official code has
        a constant 1: the gradient is 0 in both. Source: PSENet (CVPR 2019), section 3.5.
    """
    chosen = selected.float()
    expected = (target.float() * chosen).flatten(1)
    predicted = (probability.float() * chosen).flatten(1)
    both = predicted.square().sum(dim=1) + expected.square().sum(dim=1)
    overlap = 2 * (predicted * expected).sum(dim=1) / (both + 2e-3)
    return ((1 - overlap) * expected.any(dim=1)).sum() / max(len(expected), 1)


def masked_mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean of float32 values where a mask of the same shape (bool) is true; 0 where it is true nowhere."""
    return torch.where(where, values, 0).sum() / where.sum().clamp(min=1)


def unit_direction(sin: Tensor, cos: Tensor) -> tuple[Tensor, Tensor]:
    """Predicted sines and cosines, float32 of any shape, brought to unit length; 0 stays 0."""
    length = (sin.square() + cos.square() + 1e-8).sqrt()
    return sin / length, cos / length


def masked_l1_loss(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute difference over the valid pixels.

    Args:
        prediction, target: float, any shape.
        valid: same shape, 1 where the difference counts, else 0; any type.

    Returns:
        Scalar float32. Source: DB (AAAI 2020), equation 10; the mean as in its official code.
    """
    known = valid.float()
    return ((prediction.float() - target.float()).abs() * known).sum() / (known.sum() + 1e-6)


def to_one_size(logits: Tensor, targets: Mapping[str, Tensor], enlarge: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """Either enlarges the logits to the size of the targets (bilinearly) or subsamples the targets.

    Args:
        logits: (B, C, h, w), any float type.
        targets: (B, H, W) each, H and W the same multiple of h and w.
        enlarge: which of the two.

    Returns:
        Logits (B, C, H, W) or (B, C, h, w), float32, and the targets at that size.
    """
    height, width = next(iter(targets.values())).shape[-2:]
    if enlarge:
        return F.interpolate(logits.float(), size=(height, width), mode="bilinear"), dict(targets)
    step = height // logits.shape[-2]
    return logits.float(), {name: target[..., ::step, ::step] for name, target in targets.items()}
