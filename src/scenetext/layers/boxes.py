"""Boxes of detectors that look twice: their code, which of them a text is learnt from, and which of those are drawn.

Boxes are (left, top, right, bottom), float32 pixels of one frame, real numbers: a box is right - left wide. Everything
here runs without gradient on tensors of any device.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torchvision.ops import box_area, box_iou

LARGEST_LOG_RATIO = math.log(1000 / 16)
"""Decoded boxes are at most so many times (in the logarithm) larger or smaller than the box that they start from."""
EXCLUDED, BACKGROUND = -1, 0
"""What `match_boxes` gives boxes that are not learnt from, and those without text; text i is i + 1."""
_PAIRS_AT_ONCE = 1 << 23
"""Pairs of boxes whose overlap is computed at a time: bounds memory to some 100 MB."""


def encode_boxes(boxes: Tensor, wanted: Tensor, deviations: tuple[float, float, float, float]) -> Tensor:
    """What is to be predicted at boxes so that the wanted ones come out.

    Args:
        boxes, wanted: (N, 4) each, with an area.
        deviations: by which the offsets (of x, y, width, height) are divided.

    Returns:
        (N, 4): distance of the centres as a share of the box's width and height, and logarithms of the ratio of the
        widths and of the heights. Source: Faster R-CNN (NeurIPS 2015), equation 2.
    """
    centre, size = _centres_and_sizes(boxes)
    wanted_centre, wanted_size = _centres_and_sizes(wanted)
    offsets = torch.cat(((wanted_centre - centre) / size, (wanted_size / size).log()), dim=1)
    return offsets / offsets.new_tensor(deviations)


def decode_boxes(boxes: Tensor, offsets: Tensor, deviations: tuple[float, float, float, float]) -> Tensor:
    """The boxes (N, 4) that offsets (N, 4) stand for; undoes `encode_boxes`, sizes within `LARGEST_LOG_RATIO`."""
    centre, size = _centres_and_sizes(boxes)
    offsets = offsets * offsets.new_tensor(deviations)
    centre = centre + offsets[:, :2] * size
    half = size * offsets[:, 2:].clamp(-LARGEST_LOG_RATIO, LARGEST_LOG_RATIO).exp() / 2
    return torch.cat((centre - half, centre + half), dim=1)


def clip_boxes(boxes: Tensor, height: float, width: float) -> Tensor:
    """Boxes (N, 4), cut at the borders of an image."""
    limits = boxes.new_tensor((width, height, width, height))
    return torch.minimum(boxes.clamp(min=0), limits)


def match_boxes(
    boxes: Tensor, texts: Tensor, positive: float, negative: float, least_best: float, chunk: int | None = None
) -> Tensor:
    """Which text every box is to find.

    A box belongs to the text that it overlaps most, if the IoU is at least `positive`; below `negative` it is
    background, in between it is excluded. So that every text is learnt, the boxes that overlap it most belong to it if
    their IoU is at least `least_best`; of several such texts, to the last one.

    Args:
        boxes: (A, 4).
        texts: (N, 4), with areas; N may be 0.
        positive, negative, least_best: IoUs in [0, 1], `positive` at least `negative`.
        chunk: texts that are compared at a time; None = as many as memory allows.

    Returns:
        (A,) int64: `EXCLUDED`, `BACKGROUND`, or index of the text + 1. Source: Faster R-CNN (NeurIPS 2015), section
        3.1.2, with the limit `least_best` of MMDetection.
    """
    most = boxes.new_zeros(len(boxes))
    text = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    best_of = torch.zeros_like(text)
    step = chunk or max(1, _PAIRS_AT_ONCE // max(1, len(boxes)))
    for start in range(0, len(texts), step):
        overlap = box_iou(texts[start : start + step], boxes)
        number = torch.arange(start + 1, start + 1 + len(overlap), device=boxes.device)
        if not overlap.shape[1]:
            break
        largest, which = overlap.max(dim=0)
        better = largest > most
        most, text = torch.where(better, largest, most), torch.where(better, number[which], text)
        reached = overlap.max(dim=1, keepdim=True).values
        is_best = (overlap == reached) & (reached >= least_best)
        best_of = torch.maximum(best_of, (is_best * number[:, None]).amax(dim=0))
    matched = torch.where(most >= positive, text, torch.where(most < negative, BACKGROUND, EXCLUDED))
    return torch.where(best_of > 0, best_of, matched)


def mostly_inside(boxes: Tensor, areas: Tensor, share: float = 0.5) -> Tensor:
    """(A,) bool: whether more than a share of a box (A, 4) lies in one of other boxes (N, 4)."""
    inside = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    size = box_area(boxes)
    for start in range(0, len(areas), step := max(1, _PAIRS_AT_ONCE // max(1, len(boxes)))):
        others = areas[start : start + step, None]
        sides = torch.minimum(boxes[:, 2:], others[..., 2:]) - torch.maximum(boxes[:, :2], others[..., :2])
        inside |= (sides.clamp(min=0).prod(dim=2) > share * size).any(dim=0)
    return inside


def draw_boxes(matched: Tensor, count: int, positive_share: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """A random choice among boxes that are learnt from: as many positive ones as there are up to a share, the rest
    background.

    Args:
        matched: (A,) as `match_boxes` gives it.
        count: how many to draw; fewer where there are not so many.
        positive_share: largest share of positive ones, in [0, 1].
        generator: on the CPU.

    Returns:
        Indices of positive boxes and of background, each int64 in ascending order.
    """
    positive = _some(torch.nonzero(matched > BACKGROUND)[:, 0], int(count * positive_share), generator)
    background = _some(torch.nonzero(matched == BACKGROUND)[:, 0], count - len(positive), generator)
    return positive, background


def _some(indices: Tensor, count: int, generator: Generator) -> Tensor:
    """At most so many of the indices, drawn evenly, in their order."""
    if len(indices) <= count:
        return indices
    chosen = torch.randperm(len(indices), generator=generator)[:count].sort().values
    return indices[chosen.to(indices.device)]


def _centres_and_sizes(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(x, y) of the centre and (width, height), (N, 2) each."""
    low, high = boxes[:, :2], boxes[:, 2:]
    return (low + high) / 2, high - low
