"""Where DRRG looks again: components, from targets in training, else from maps, and the graphs over them."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Generator, Tensor

from scenetext.contracts import Maps, Proposals, Targets
from scenetext.detectors.drrg.boxes import GeometryMaps, WidthRule, component_attributes, component_corners
from scenetext.detectors.drrg.config import DRRGDecoding, DRRGSettings
from scenetext.detectors.drrg.graph import distinct_pivots, local_graphs
from scenetext.detectors.drrg.merging import merge_and_suppress
from scenetext.geometry.candidates import keep_best
from scenetext.geometry.pixel_maps import filled_regions, logistic

LEAST_HEIGHT = 1.0
"""Of a component in evaluation, pixels; maps of an untrained head have none."""
LEAST_COMPONENTS = 2
"""With fewer there is no link to look at, and no text."""


def propose(maps: Maps, targets: Targets | None, config: DRRGSettings, generator: Generator) -> Proposals:
    """The components of one image and the graphs around them.

    Returns:
        boxes: (P, 6) float32 x, y, height, width, cos, sin.
        nearest, has_nearest: (P, K) int64 and bool, the components that each may be linked with.
        nodes, has_node: (P, M) int64 and bool, those of the graph around each, itself first.
        adjacent: (P, M, M) bool, of the nodes of the graph around each.
        is_pivot: (P,) bool, whether the graph around it is looked at; in evaluation all are.
        linked: (P, K) float32, in training, 1 where both are of one text.
        corners, score: (P, 4, 2) and (P,) float32, in evaluation, what is decoded.
    """
    if targets is None:
        boxes, corners, scores = find_components({name: value.cpu().numpy() for name, value in maps.items()}, config)
        own = {"corners": corners, "score": scores}
        labels = np.ones(len(boxes))
    else:
        known = targets["components"].cpu()
        known = known[known[:, 3] > 0]  # a row of padding has no width
        boxes, labels = jittered(known, config.components.jitter, generator).numpy(), known[:, 6].numpy()
        own = {}
    if len(boxes) < LEAST_COMPONENTS:
        boxes, labels, own = boxes[:0], labels[:0], {name: value[:0] for name, value in own.items()}
    graphs = local_graphs(boxes[:, :2].astype(np.float64), config.components)
    if targets is not None:
        own["is_pivot"] = distinct_pivots(graphs, labels, config.components.same_graph_threshold)
        own["linked"] = ((labels[graphs.nearest] == labels[:, None]) & (labels > 0)[:, None]).astype(np.float32)
    else:
        own["is_pivot"] = np.ones(len(boxes), bool)
    return {name: torch.from_numpy(value) for name, value in {"boxes": boxes, **graphs._asdict(), **own}.items()}


def jittered(components: Tensor, jitter: float, generator: Generator) -> Tensor:
    """(n, 6) float32: x, y, height, width, cos, sin of components (n, 6 or more), each changed a little at random.

    Args:
        jitter: the middle moves by up to half of this share of its box, height and width change by up to half of this
            share, and cosine and sine by up to this.
    """
    x, y, height, width, cos, sin = components[:, :6].unbind(dim=1)
    moves = (torch.rand((6, len(components)), generator=generator) - 0.5) * jitter
    cos, sin, old_cos, old_sin = cos + 2 * moves[4], sin + 2 * moves[5], cos.abs(), sin.abs()
    length = (cos.square() + sin.square() + 1e-8).sqrt()
    columns = (
        x + moves[0] * (height * old_cos + width * old_sin),
        y + moves[1] * (height * old_sin + width * old_cos),
        height * (1 + moves[2]),
        width * (1 + moves[3]),
        cos / length,
        sin / length,
    )
    return torch.stack(columns, dim=1)


def find_components(maps: dict[str, np.ndarray], config: DRRGSettings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The components of all centre regions of one image.

    Args:
        maps: text, centre (logits), sin, cos, top, bottom, (H, W) float32 each.

    Returns:
        (n, 6) boxes, (n, 4, 2) corners, cut off at the border of the image, and (n,) scores, float32: the mean
        probability of text in each.
    """
    decoding, (height, width) = config.decoding, maps["text"].shape
    text = maps["text"]
    rule = WidthRule(decoding.width_share, config.components.least_width, config.components.largest_width)
    geometry = GeometryMaps(*(maps[name] for name in GeometryMaps._fields))
    pixels, region = _candidate_pixels(maps, geometry, decoding)
    found = []
    for number in np.unique(region):
        own = pixels[region == number]
        candidates = component_corners(geometry, own, rule, decoding.height_growth)
        probability = logistic(text[own[:, 1], own[:, 0]]).astype(np.float64)
        corners, _ = merge_and_suppress(candidates, probability, decoding.overlap_threshold)
        if _text_share(corners, text, decoding) >= decoding.least_text_share:
            found.append(corners)
    corners = np.concatenate([np.zeros((0, 4, 2)), *found])
    middles = corners.mean(axis=1)
    corners = corners[((middles >= 0) & (middles < (width, height))).all(axis=1)]
    scores = score_components(text, corners)
    best = keep_best(scores, decoding.maximum_components)
    boxes = component_attributes(geometry, corners[best], rule)
    corners = corners[best].clip(0, (width - 1, height - 1))
    return boxes.astype(np.float32), corners.astype(np.float32), scores[best]


def _candidate_pixels(
    maps: dict[str, np.ndarray], geometry: GeometryMaps, config: DRRGDecoding
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 2), (x, y), that become components, and (N,) the numbers of their regions, region by region.

    Those without a height are none: their boxes would have no area.
    """
    text = maps["text"]
    inside = (text > _logit(config.text_threshold)) & (maps["centre"] > _logit(config.centre_threshold))
    numbers = np.zeros(text.shape, np.int32)
    for index, region in enumerate(filled_regions(inside.view(np.uint8)), start=1):
        cv2.drawContours(numbers, [region], 0, index, cv2.FILLED)
    pixels = np.flatnonzero(numbers > 0)
    number, (y, x) = numbers.reshape(-1)[pixels], np.divmod(pixels, text.shape[1])
    wanted = np.bincount(number, minlength=1)[number] > config.minimum_area
    wanted &= (text[y, x] > _logit(config.score_threshold)) & (
        geometry.top[y, x] + geometry.bottom[y, x] >= LEAST_HEIGHT
    )
    number, y, x = number[wanted], y[wanted], x[wanted]
    best = keep_best(text[y, x], config.maximum_candidates)
    by_region = best[np.argsort(number[best], kind="stable")]
    return np.stack((x, y), axis=1)[by_region], number[by_region]


def _text_share(corners: np.ndarray, text: np.ndarray, config: DRRGDecoding) -> float:
    """The share of the boxes' area within the image that is text."""
    drawn = corners.astype(np.int32)
    low = np.maximum(drawn.min(axis=(0, 1)), 0)
    high = np.minimum(drawn.max(axis=(0, 1)) + 1, text.shape[::-1])
    if (low >= high).any():
        return 0.0
    mask = np.zeros((high - low)[::-1], np.uint8)
    cv2.drawContours(mask, drawn - low, -1, 1, cv2.FILLED)
    covered = text[low[1] : high[1], low[0] : high[0]][mask > 0]
    return float((covered > _logit(config.text_threshold)).mean()) if covered.size else 0.0


def score_components(text: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(n,) float32 mean probability of text in quadrangles (n, 4, 2), the parts of them in the image."""
    height, width = text.shape
    scores = np.zeros(len(corners), np.float32)
    for index, drawn in enumerate(corners.clip(0, (width - 1, height - 1)).astype(np.int32)):
        left, top, across, down = cv2.boundingRect(drawn)
        mask = np.zeros((down, across), np.uint8)
        cv2.fillPoly(mask, [drawn - np.array((left, top), np.int32)], 1)
        scores[index] = logistic(text[top : top + down, left : left + across][mask > 0]).mean()
    return scores


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
