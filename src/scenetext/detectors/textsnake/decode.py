"""From maps to polygons: every text is the union of disks along the middle of its centre region (section 3.3)."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import cv2
import numpy as np

from scenetext.contracts import Maps
from scenetext.detectors.textsnake.config import TextSnakeDecoding, TextSnakeSettings
from scenetext.detectors.textsnake.skeleton import require_scikit_image, skeleton_pixels
from scenetext.geometry.pixel_maps import filled_regions, logistic
from scenetext.structures import Detection

STEPS_AT_ONCE = 16
"""Steps towards the border that are looked at in one go; perfect maps need some ten."""
_WINDOW: tuple[tuple[int, Literal["left", "right"]], ...] = ((-1, "left"), (1, "right"))
"""Both ends of a closed interval, as signs of its reach and sides of `numpy.searchsorted`."""


class ImageMaps(NamedTuple):
    """What the head gives for one image, (H, W) float32 each."""

    text: np.ndarray
    centre: np.ndarray
    sin: np.ndarray
    cos: np.ndarray
    radius: np.ndarray


def decode(maps: Maps, config: TextSnakeSettings) -> list[list[Detection]]:
    """The detections of every image of a batch.

    Args:
        maps: what the head gives, any float type, any device.
        config: its decoding settings.

    Returns:
        For every image its detections, in pixels of the (padded) input image.

    Raises:
        ConfigError: scikit-image is not installed.
    """
    require_scikit_image()
    arrays = [maps[name].detach().float().cpu().numpy() for name in ImageMaps._fields]
    return [find_text(ImageMaps(*image), config.decoding) for image in zip(*arrays, strict=True)]


def find_text(maps: ImageMaps, config: TextSnakeDecoding) -> list[Detection]:
    """The detections in the maps of one image; all work but the thresholds is done in the boxes of the regions.

    Args:
        maps: logits of text and centre, direction and radius.
        config: thresholds and shape.

    Returns:
        In the order of OpenCV's contours, from the bottom upwards. Polygons are the outlines of the disks, within the
        image, or the rectangles of least area around them, which may reach outside of it.
    """
    regions = _centre_regions(maps, config)
    numbers = np.zeros(maps.text.shape, np.int32)
    starts = []
    for number, region in enumerate(regions, start=1):
        cv2.drawContours(numbers, [region], 0, number, cv2.FILLED)
        left, top, width, height = cv2.boundingRect(region)
        y, x = skeleton_pixels(numbers[top : top + height, left : left + width] == number)
        starts.append(np.stack((x + left, y + top), axis=1))
    if not starts:
        return []
    points = np.concatenate(starts)
    disks, region = _merge_disks(
        _disks(maps, numbers, points, config), numbers[points[:, 1], points[:, 0]], config.merge_share
    )
    ends = np.searchsorted(region, np.arange(2, len(regions) + 1))
    found = (_text_of_disks(part, maps.text, config) for part in np.split(disks, ends))
    return [detection for detection in found if detection is not None]


def _centre_regions(maps: ImageMaps, config: TextSnakeDecoding) -> list[np.ndarray]:
    """Outer contours (n, 1, 2) int32 of the regions of enough area whose centre score is above the threshold."""
    # Neither probability can be below the product of both.
    least = math.log(config.centre_threshold / (1 - config.centre_threshold))
    mask = np.zeros(maps.text.shape, np.uint8)
    possible = np.flatnonzero((maps.text > least) & (maps.centre > least))
    score = _centre_score(maps, possible)
    mask.reshape(-1)[possible[score > config.centre_threshold]] = 1
    return [region for region in filled_regions(mask) if cv2.contourArea(region) >= config.minimum_area]


def _disks(maps: ImageMaps, numbers: np.ndarray, points: np.ndarray, config: TextSnakeDecoding) -> np.ndarray:
    """(N, 4) x, y, radius and centre score of the disk that belongs to every skeleton pixel (N, 2).

    Its middle lies half-way between the borders of the region, across the direction of the text; radius and score are
    read there.
    """
    width = numbers.shape[1]
    pixels = points[:, 1] * width + points[:, 0]
    sin, cos, radius = (array.reshape(-1)[pixels].astype(np.float64) for array in (maps.sin, maps.cos, maps.radius))
    across = np.stack((-sin, cos), axis=1)
    length = np.hypot(sin, cos)
    with np.errstate(all="ignore"):
        step = across * (config.step_share * radius / length)[:, None]
    # Steps of no length would never end, and those below a radius of 1 are of disks that are not drawn.
    step[~(np.isfinite(step).all(axis=1) & (radius >= 1) & (length > 0))] = 0
    middles = ((_walk(numbers, points, step) + _walk(numbers, points, -step)) / 2).astype(np.int64)
    pixels = middles[:, 1] * width + middles[:, 0]
    radius = maps.radius.reshape(-1)[pixels] * config.radius_growth
    return np.column_stack((middles, radius, _centre_score(maps, pixels)))


def _walk(numbers: np.ndarray, points: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The last positions (N, 2) of walks that begin at pixels (N, 2) and stay in the region of their number.

    Args:
        numbers: (H, W) int32, the region that every pixel is in.
        step: (N, 2) float64 in pixels; 0 = stays where it is. Positions are cut to integers to look at the region.
    """
    height, width = numbers.shape
    # A border of 0 around the regions ends every walk; so index 0 is the border, and pixels begin at 1.
    bordered = cv2.copyMakeBorder(numbers, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0).reshape(-1)
    own = numbers[points[:, 1], points[:, 0]]
    positions = points.astype(np.float64)
    walking = np.flatnonzero(step.any(axis=1))
    counts = np.arange(1, STEPS_AT_ONCE + 1)
    while len(walking):
        x, y = (
            (positions[walking, axis, None] + 1 + counts * step[walking, axis, None]).clip(0, end + 1).astype(np.int64)
            for axis, end in ((0, width), (1, height))
        )
        inside = bordered[y * (width + 2) + x] == own[walking, None]
        taken = np.where(inside.all(axis=1), STEPS_AT_ONCE, inside.argmin(axis=1))
        positions[walking] += taken[:, None] * step[walking]
        walking = walking[taken == STEPS_AT_ONCE]
    return positions


def _merge_disks(disks: np.ndarray, region: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Disks (N, 4) of the same region (N,), the best first, each merged with the worse ones near it that are left.

    Returns:
        (M, 4) disks, the means of those that were merged, and (M,) their regions, in the order of the regions.
    """
    best_first = np.lexsort((-disks[:, 3], region))
    disks, region = disks[best_first], region[best_first]
    leader = list(range(len(disks)))
    # In order of the better one: when the pairs of a disk come, all that could have merged it have had theirs.
    for better, worse in zip(*_near_pairs(disks, region, share), strict=True):
        if leader[better] == better and leader[worse] == worse:
            leader[worse] = better
    leaders, group, counts = np.unique(leader, return_inverse=True, return_counts=True)
    sums = [np.bincount(group, column, minlength=len(counts)) for column in disks.T]
    return np.stack(sums, axis=1) / counts[:, None], region[leaders]


def _near_pairs(disks: np.ndarray, region: np.ndarray, share: float) -> tuple[list[int], list[int]]:
    """Pairs i < j of disks of one region that are at most share (r_i + r_j) apart, in order of i and then j.

    Looked for by the larger disk of each pair, at most 2 share r away along x, among those sorted by x.
    """
    x, y, radius, _ = disks.T
    position = x + region * 2 * (np.ptp(x) + 1)
    order = np.argsort(position)
    reach = 2 * share * np.maximum(radius, 0)
    first, last = (np.searchsorted(position[order], position + sign * reach, side) for sign, side in _WINDOW)
    counts = last - first
    larger = np.repeat(np.arange(len(disks)), counts)
    smaller = order[np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)]
    near = (radius[smaller] < radius[larger]) | ((radius[smaller] == radius[larger]) & (smaller < larger))
    near &= region[smaller] == region[larger]
    larger, smaller = larger[near], smaller[near]
    distance = np.hypot(x[larger] - x[smaller], y[larger] - y[smaller])
    near = distance <= share * (radius[larger] + radius[smaller])
    better, worse = np.minimum(larger, smaller)[near], np.maximum(larger, smaller)[near]
    in_order = np.lexsort((worse, better))
    return better[in_order].tolist(), worse[in_order].tolist()


def _text_of_disks(disks: np.ndarray, text: np.ndarray, config: TextSnakeDecoding) -> Detection | None:
    """The union of disks (N, 4) in an image with these logits of text (H, W); None where it has no extent."""
    height, width = text.shape
    disks = disks[disks[:, 2] > 1]
    if not len(disks):
        return None
    middles, radii = disks[:, :2].astype(np.int64), np.minimum(disks[:, 2], height + width).astype(np.int64)
    left, top = np.maximum((middles - radii[:, None]).min(axis=0), 0).tolist()
    right, bottom = np.minimum((middles + radii[:, None]).max(axis=0) + 1, (width, height)).tolist()
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for (x, y), radius in zip((middles - (left, top)).tolist(), radii.tolist(), strict=True):
        cv2.circle(mask, (x, y), radius, 1, cv2.FILLED)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top))
    outline = max(contours, key=cv2.contourArea)
    if len(outline) <= 4 or cv2.contourArea(outline) <= 0:
        return None
    score = float(logistic(text[top:bottom, left:right][mask.view(bool)]).mean())
    if config.polygon_shape == "quad":
        return Detection(cv2.boxPoints(cv2.minAreaRect(outline)), score)
    return Detection(outline[:, 0].astype(np.float32), score)


def _centre_score(maps: ImageMaps, pixels: np.ndarray) -> np.ndarray:
    """(N,) (probability of text) (probability of centre) at pixels (N,), indices row by row."""
    return logistic(maps.text.reshape(-1)[pixels]) * logistic(maps.centre.reshape(-1)[pixels])
