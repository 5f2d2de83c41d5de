"""From components and their links to polygons: groups of linked components, and a path along each of them."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from scenetext.contracts import Maps
from scenetext.detectors.drrg.config import DRRGDecoding, DRRGSettings
from scenetext.geometry.pixel_maps import logistic
from scenetext.structures import Detection

_NEEDED = ("corners", "score", "nearest", "has_nearest", "link", "valid")


def decode(maps: Maps, config: DRRGSettings) -> list[list[Detection]]:
    """The detections of every image of a batch.

    Args:
        maps: those of the stage, in evaluation; the others are not used.
        config: its decoding settings.

    Returns:
        For every image its detections, in pixels of the (padded) input image.
    """
    tensors = {name: maps[f"links.{name}"].detach().cpu() for name in _NEEDED}
    arrays = {name: (each.float() if each.is_floating_point() else each).numpy() for name, each in tensors.items()}
    return [
        find_text({name: value[index][arrays["valid"][index]] for name, value in arrays.items()}, config.decoding)
        for index in range(len(arrays["valid"]))
    ]


def find_text(components: Mapping[str, np.ndarray], config: DRRGDecoding) -> list[Detection]:
    """The detections in the components of one image.

    Args:
        components: corners (n, 4, 2), score (n,), and nearest, has_nearest and link (n, K): the logits that a component
            and each of those that are near it are of one text.
        config: thresholds and shape.

    Returns:
        In the order of their first components; a component that is linked with none is no text.
    """
    rows, places = np.nonzero(components["has_nearest"])
    edges = np.column_stack((rows, components["nearest"][rows, places]))
    corners = components["corners"].astype(np.int32)
    probability = logistic(components["link"][rows, places])
    labels = group_components(edges, probability, components["corners"].mean(axis=1), config)
    found = []
    for label in range(1, int(labels.max(initial=0)) + 1):
        members = np.flatnonzero(labels == label)
        outline = outline_of(corners[members])
        if cv2.contourArea(outline) <= 0:
            continue
        shape = cv2.boxPoints(cv2.minAreaRect(outline)) if config.polygon_shape == "quad" else outline
        score = min(float(components["score"][members].mean()), 1.0)
        found.append(Detection(shape.astype(np.float32), score))
    return found


def group_components(
    edges: np.ndarray, probability: np.ndarray, middles: np.ndarray, config: DRRGDecoding
) -> np.ndarray:
    """(n,) the group of every component, from 1; 0: linked with no other.

    Args:
        edges: (E, 2) indices of components; those of both directions are one, and their probability is the mean.
        probability: (E,) that both are of one text.
        middles: (n, 2) pixels.
    """
    count = len(middles)
    if not len(edges):
        return np.zeros(count, np.int64)
    length = np.hypot(*(middles[edges[:, 0]] - middles[edges[:, 1]]).T)
    low, high = edges.min(axis=1), edges.max(axis=1)
    pair, place, times = np.unique(low * count + high, return_inverse=True, return_counts=True)
    mean = np.bincount(place, np.where(length > config.longest_link, 0, probability)) / times
    linked = pair[mean >= config.link_threshold]
    group = np.arange(count)
    for first, second in zip((linked // count).tolist(), (linked % count).tolist(), strict=True):
        group[group == group[second]] = group[first]
    _, first, labels, sizes = np.unique(group, return_index=True, return_inverse=True, return_counts=True)
    # Numbered in the order of their first components, groups of one not at all.
    number = np.zeros(len(sizes), np.int64)
    several = np.flatnonzero(sizes > 1)
    number[several[np.argsort(first[several])]] = np.arange(1, len(several) + 1)
    return number[labels]


def outline_of(corners: np.ndarray) -> np.ndarray:
    """The polygon (V, 2) int32 around components (n, 4, 2) int32: along their tops, and back along their bottoms."""
    path = connecting_path(corners.mean(axis=1).astype(np.int64))
    corners = corners[path]
    top, bottom = corners[:, :2].mean(axis=1).astype(np.int32), corners[:, 2:].mean(axis=1).astype(np.int32)
    line = np.concatenate((top, bottom[::-1]))
    for end, at in ((corners[0], 0), (corners[-1], len(corners))):
        side = _outer_side(line, end)
        if side is not None:
            at = at if at == 0 else len(top)
            top = np.insert(top, at, side[0], axis=0)
            bottom = np.insert(bottom, at, side[1], axis=0)
    return np.concatenate((top, bottom[::-1]))


def _outer_side(line: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Upper and lower corner of the side of a box (4, 2) whose middle lies outside a polygon (V, 2), left first."""
    for upper, lower in ((corners[0], corners[3]), (corners[1], corners[2])):
        x, y = ((upper + lower) / 2).astype(int).tolist()
        if cv2.pointPolygonTest(line, (x, y), False) <= 0:
            return upper, lower
    return None


def connecting_path(points: np.ndarray) -> list[int]:
    """An order of points (n, 2): from the first one on, always the one nearest to an end is added to that end."""
    distances = np.square(points[:, None] - points).sum(axis=2).astype(np.float64)
    path = [0]
    left = np.ones(len(points), bool)
    left[0] = False
    while left.any():
        from_ends = np.where(left, distances[[path[0], path[-1]]], np.inf)
        end, nearest = divmod(int(from_ends.argmin()), len(points))
        path.insert(0 if end == 0 else len(path), nearest)
        left[nearest] = False
    return path
