"""The two long sides of a text, along the tops and along the bottoms of its letters, and the band between them.

FCENet, TextSnake and DRRG take the two edges of a polygon that look most like ends (left of the first letter, right of
the last), and call what lies between them the two sides. Without such edges, as in a square, the choice is arbitrary
but always the same.
"""

from __future__ import annotations

import math

import numpy as np

ORIENTATION_RATIO = 2.0
"""A quadrangle reads downwards where its upright edges are longer than its level ones by more than this."""
END_SPACING_WEIGHT = 0.3
"""What a good second end, far from the first, adds to the score of a first end."""
LEAST_POINTS = 3
"""Points of the sides of even the shortest text, see `step_along`."""

Sides = tuple[np.ndarray, np.ndarray]
"""(V1, 2) and (V2, 2), pixels: two lines that run in the same direction; of as many points once stepped along."""


def text_sides(polygon: np.ndarray, orientation_ratio: float = ORIENTATION_RATIO) -> Sides:
    """The two long sides of a text, running in the same direction.

    Args:
        polygon: (V, 2), V >= 3, pixels, either direction. A triangle counts as a quadrangle with its last corner twice.
        orientation_ratio: see `ORIENTATION_RATIO`.

    Returns:
        (V1, 2) and (V2, 2), V1 + V2 = V, float64: first the one that lies higher in the image on average.
    """
    points = polygon.astype(np.float64)
    if len(points) == 3:
        points = np.concatenate((points, points[2:]))
    first, second = _quadrangle_ends(points, orientation_ratio) if len(points) == 4 else _likeliest_ends(points)
    side, other = points[first:second], np.concatenate((points[second:], points[:first]))[::-1]
    return (other, side) if side[:, 1].mean() > other[:, 1].mean() else (side, other)


def line_length(line: np.ndarray) -> float:
    """Length of an open line (V, 2) in pixels; 0 for a single point."""
    steps = line[1:] - line[:-1]
    return float(np.hypot(steps[:, 0], steps[:, 1]).sum())


def resample_line(line: np.ndarray, count: int) -> np.ndarray:
    """Points at equal distances along an open line.

    Args:
        line: (V, 2), V >= 1, pixels.
        count: how many, at least 2; the first and the last are the ends of the line.

    Returns:
        (count, 2) float64.
    """
    if len(line) == 2:
        return line[0] + (line[1] - line[0]) * (np.arange(count) / (count - 1))[:, None]
    steps = line[1:] - line[:-1]
    walked = np.concatenate(([0.0], np.cumsum(np.hypot(steps[:, 0], steps[:, 1]))))
    positions = walked[-1] * (np.arange(count) / (count - 1))
    return np.stack([np.interp(positions, walked, line[:, 0]), np.interp(positions, walked, line[:, 1])], axis=1)


def step_along(sides: Sides, step: float) -> Sides:
    """Both sides of a text as lines of as many points, some `step` pixels from one to the next."""
    mean_length = (line_length(sides[0]) + line_length(sides[1])) / 2
    count = max(int(mean_length / step) + 1, LEAST_POINTS)
    return resample_line(sides[0], count), resample_line(sides[1], count)


def in_reading_direction(sides: Sides, steep: float) -> Sides:
    """Both sides, of as many points, so that they run to the right, or downwards where they are steep.

    Args:
        steep: texts read downwards whose middles of the ends are further apart vertically than this times their
            horizontal distance.
    """
    upper, lower = sides
    x, y = (upper[-1] + lower[-1] - upper[0] - lower[0]).tolist()
    return (upper[::-1], lower[::-1]) if (y if abs(y) > steep * abs(x) else x) < 0 else sides


def end_heights(sides: Sides) -> tuple[float, float]:
    """Distance between the first and between the last points of both sides, pixels."""
    return math.dist(sides[0][0], sides[1][0]), math.dist(sides[0][-1], sides[1][-1])


def without_ends(sides: Sides, lengths: tuple[float, float], step: float) -> Sides:
    """Both sides, stepped along, without the whole steps that fit into a length at their head and one at their tail.

    Unchanged where no more than two points would remain.
    """
    from_head, from_tail = (int(length // step) for length in lengths)
    count = len(sides[0])
    if count <= from_head + from_tail + 2:
        return sides
    kept = slice(from_head, count - from_tail)
    return sides[0][kept], sides[1][kept]


def band_between(sides: Sides, share: float) -> np.ndarray:
    """The quadrangles of the band around the middle of a text, from one pair of points to the next.

    Args:
        sides: of N points each.
        share: height of the band, as a share of the height of the text.

    Returns:
        (N - 1, 4, 2) int32, cut to integers as published: top left, top right, bottom right, bottom left of each.
    """
    middle, half = (sides[0] + sides[1]) / 2, (sides[0] - sides[1]) / 2 * share
    upper, lower = middle + half, middle - half
    return np.stack((upper[:-1], upper[1:], lower[1:], lower[:-1]), axis=1).astype(np.int32)


def _quadrangle_ends(points: np.ndarray, orientation_ratio: float) -> tuple[int, int]:
    """Indices of the first vertex of either side: sides are the edges 0 and 2, or 1 and 3.

    The pair of edges that is more nearly level makes the sides, unless the upright pair is much longer.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points.tolist()
    slope_even = _steepness(x1 - x0, y1 - y0) + _steepness(x3 - x2, y3 - y2)
    slope_odd = _steepness(x2 - x1, y2 - y1) + _steepness(x0 - x3, y0 - y3)
    length_even = np.hypot(x1 - x0, y1 - y0) + np.hypot(x3 - x2, y3 - y2)
    length_odd = np.hypot(x2 - x1, y2 - y1) + np.hypot(x0 - x3, y0 - y3)
    if slope_even < slope_odd:
        even_are_sides = length_odd <= length_even * orientation_ratio
    else:
        even_are_sides = length_even > length_odd * orientation_ratio
    return (0, 2) if even_are_sides else (1, 3)


def _steepness(x: float, y: float) -> float:
    """How far a step is from level: 0 for a level one, without limit for an upright one."""
    return abs(y / (x + 1e-8))


def _likeliest_ends(points: np.ndarray) -> tuple[int, int]:
    """Indices of the first vertex of either side of a polygon with more than four vertices.

    Every edge is scored by how sharply the outline turns at it and how far out it lies; the best pair of edges that do
    not touch wins, where pairs half an outline apart are preferred.
    """
    count = len(points)
    score = _end_scores(points)
    apart = np.arange(2, count - 1)
    # pairs[i, j]: the ends are edge i and the edge `apart[j]` further on, the second weighted by a Gaussian of the gap.
    spread = (apart - 2) / (count - 4)
    nearness = np.exp(-(((spread - 0.5) / 0.5) ** 2) / 2)
    nearness /= nearness.max()
    partner = (np.arange(count)[:, None] + apart) % count
    pairs = score[:, None] + END_SPACING_WEIGHT * nearness * score[partner]
    head, gap = divmod(int(pairs.argmax()), len(apart))
    first, second = (head + 1) % count, (int(partner[head, gap]) + 1) % count
    return min(first, second), max(first, second)


def _end_scores(points: np.ndarray) -> np.ndarray:
    """(V,) how much the edge from every vertex to the next looks like an end of the text.

    The weights are those of the official TextSnake targets: 0.5 for the turns at both of its vertices, 0.15 for the
    turn from the edge before to the edge after, 0.35 for the distance from the middle, and 0.1 for the edges
    that annotators of curved text use as ends: the middle and the last one of an even number.
    """
    count = len(points)
    edge = np.roll(points, -1, axis=0) - points
    before, after = np.roll(edge, 1, axis=0), np.roll(edge, -1, axis=0)
    # turn[i] is the angle at vertex i; an edge from i to i + 1 has the turns i and i + 1.
    turn = _angles(before, edge)
    distance = np.hypot(*(points - points.mean(axis=0)).T)
    distance = np.maximum(distance, np.roll(distance, -1))
    score = 0.5 * (turn + np.roll(turn, -1)) + 0.15 * _angles(before, after)
    score = score / np.pi + 0.35 * distance / max(distance.max(), 1e-8)
    if count % 2 == 0:
        score[[count // 2 - 1, -1]] += 0.1
    return score


def _angles(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(V,) angles in radians, from 0 to pi, between the vectors (V, 2) of two lists; pi / 2 where one is zero."""
    lengths = (np.hypot(first[:, 0], first[:, 1]) + 1e-8) * (np.hypot(second[:, 0], second[:, 1]) + 1e-8)
    return np.arccos(np.clip((first * second).sum(axis=1) / lengths, -1, 1))
