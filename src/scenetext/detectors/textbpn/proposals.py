"""Where the second look begins: coarse boundaries from the maps, or in training from the true ones."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from scenetext.contracts import Maps, Proposals, Targets
from scenetext.detectors.textbpn.boundary import boundary_points
from scenetext.detectors.textbpn.config import POINTS, BoundaryDecoding, BoundarySettings
from scenetext.geometry.candidates import keep_best


def propose(maps: Maps, targets: Targets | None, config: BoundarySettings, generator: Generator) -> Proposals:
    """The boundaries to refine in one image.

    Returns:
        proposal: (P, 20, 2) float32, (x, y) in whole pixels of the image.
        score: (P,) mean probability of text; of proposals from maps.
        truth: (P, 20, 2) float32, the true boundary, of proposals from targets, of which every text that is not ignored
            has one.
    """
    text = maps["text"]
    if targets is None:
        found, scores = proposals_of_maps(
            text.cpu().numpy(), maps["distance"].cpu().numpy(), config.decoding, config.simplification, config.stride
        )
        return {"proposal": torch.from_numpy(found), "score": torch.from_numpy(scores)}
    learnt = targets["extent"] > 0
    drawn = torch.rand(int(learnt.sum()), 2, POINTS, generator=generator).to(text.device)
    size = text.new_tensor(text.shape[::-1]) * config.stride
    moved = jittered(targets["proposal"][learnt], targets["extent"][learnt], drawn, config.jitter, size)
    return {"proposal": moved, "truth": targets["boundary"][learnt]}


def jittered(points: Tensor, extent: Tensor, drawn: Tensor, jitter: float, size: Tensor) -> Tensor:
    """The points of true proposals moved at random, by whole pixels, within the image.

    Args:
        points: (P, 20, 2), pixels.
        extent: (P,), pixels.
        drawn: (P, 2, 20) in [0, 1), for x and for y.
        jitter: range of a move, as a share of the extent.
        size: (2,), width and height of the image, pixels.
    """
    move = ((drawn - 0.5) * jitter * extent[:, None, None]).trunc().transpose(1, 2)
    return torch.minimum((points + move).clamp(min=0), size - 1)


def proposals_of_maps(
    text: np.ndarray, distance: np.ndarray, config: BoundaryDecoding, simplification: float, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """The boundaries of 8-connected regions where the distance is large and text is probable (section 3.3).

    Args:
        text, distance: (h, w) float32 logits.
        config: thresholds and least area.
        simplification: see `boundary_points`.
        stride: input pixels per map pixel.

    Returns:
        (P, 20, 2) float32 in pixels of the image, and the mean probability of text in each region (P,) float32.
    """
    inside = _inside(distance, config)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    areas = boxes[:, cv2.CC_STAT_AREA]
    areas[0] = -1
    large = np.flatnonzero(areas * stride**2 >= max(config.minimum_area, 1))
    large = large[keep_best(areas[large], config.maximum_proposals)]
    found, scores = [], []
    for label in large.tolist():
        left, top, width, height, _ = boxes[label].tolist()
        box = slice(top, top + height), slice(left, left + width)
        region = labels[box] == label
        score = float(_probability(text[box][region]).mean())
        if score >= config.text_threshold:
            points = boundary_points(region, simplification, POINTS, stride)
            found.append(points + np.array((left * stride, top * stride)))
            scores.append(score)
    return np.array(found, np.float32).reshape(-1, POINTS, 2), np.array(scores, np.float32)


def _inside(distance: np.ndarray, config: BoundaryDecoding) -> np.ndarray:
    """(h, w) uint8: where the distance, given as logits, is large."""
    threshold = config.distance_threshold
    if config.distance_reference == "largest":
        threshold *= float(_probability(distance.max()))
    logit = np.float32(np.log(threshold / (1 - threshold))) if threshold > 0 else -np.inf
    inside = (distance > logit).view(np.uint8)
    if not config.fill_holes:
        return inside
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(inside), contours, -1, 1, cv2.FILLED)


def _probability(logits: np.ndarray) -> np.ndarray:
    """The logistic function, by way of tanh, which cannot overflow."""
    return 0.5 + 0.5 * np.tanh(logits / 2)
