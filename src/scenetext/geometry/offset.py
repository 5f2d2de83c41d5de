"""Growing and shrinking polygons with Clipper, exactly as the published detectors do it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyclipper


def offset_polygon(polygon: np.ndarray, distance: float) -> list[np.ndarray]:
    """Moves every edge of a polygon outwards by a distance, with rounded corners.

    Coordinates are cut to integers first, as in the published detectors, whose trained weights rely on it.

    Args:
        polygon: (V, 2), (x, y) in pixels, either orientation, not closed.
        distance: in pixels; negative shrinks.

    Returns:
        Every part of the result, (V', 2) int64 each; empty when nothing is left, several when the polygon was split
        (or, for a self-crossing one, when its loops are separated).
    """
    return offset_polygon_by(polygon, [distance])[0]


def offset_polygon_by(polygon: np.ndarray, distances: Sequence[float]) -> list[list[np.ndarray]]:
    """What `offset_polygon` gives for each of several distances, with the polygon given to Clipper once."""
    clipper = pyclipper.PyclipperOffset()
    clipper.AddPath(polygon.astype(np.int64).tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    return [[np.asarray(part, dtype=np.int64) for part in clipper.Execute(distance)] for distance in distances]


def largest_part(parts: list[np.ndarray]) -> np.ndarray | None:
    """The part of greatest area, None where there is no part.

    The published detectors either drop an instance that was split or keep its first part.
    """
    if len(parts) < 2:
        return parts[0] if parts else None
    return max(parts, key=lambda part: area_and_perimeter(part)[0])


def area_and_perimeter(polygon: np.ndarray) -> tuple[float, float]:
    """Enclosed area (shoelace formula, absolute) and length of the closed boundary, in pixels.

    Written without numpy: the polygons have few vertices, and this runs for every instance of every training image.
    """
    points = polygon.tolist()
    doubled_area = perimeter = 0.0
    previous_x, previous_y = points[-1]
    for x, y in points:
        doubled_area += previous_x * y - x * previous_y
        perimeter += ((x - previous_x) ** 2 + (y - previous_y) ** 2) ** 0.5
        previous_x, previous_y = x, y
    return abs(doubled_area) / 2, perimeter


def shrink_distance(polygon: np.ndarray, ratio: float) -> float:
    """Distance D = A (1 - r^2) / L by which DB moves a boundary to either side; kernels have it in whole pixels.

    Args:
        polygon: (V, 2) in pixels, of area A and perimeter L.
        ratio: r in [0, 1]; 1 leaves the polygon as it is.

    Returns:
        The distance in pixels, 0 for a polygon without extent. Source: PSENet (CVPR 2019), section 3.4, equation 4.
    """
    area, perimeter = area_and_perimeter(polygon)
    return area * (1 - ratio**2) / perimeter if perimeter > 0 else 0.0


def kernel_distance(polygon: np.ndarray, ratio: float) -> int:
    """The distance of a text kernel in whole pixels, as PSENet, PAN and DB round it.

    The published codes add 0.001 to L here, and not for DB's threshold map: a distance of exactly a half, as rectangles
    of whole sides have, is rounded down.

    Args:
        polygon: (V, 2) in pixels, cut to integers as published.
        ratio: r in [0, 1].
    """
    area, perimeter = area_and_perimeter(polygon)
    return int(area * (1 - ratio**2) / (perimeter + 0.001) + 0.5)


def shrink_to_kernels(polygon: np.ndarray, ratios: Sequence[float], maximum_distance: int) -> list[np.ndarray] | None:
    """The kernels of one text.

    As published, coordinates are cut to integers, and distances are those of `kernel_distance`, limited. Of a kernel
    that is split the largest part is used.

    Args:
        polygon: (V, 2) in pixels.
        ratios: r in (0, 1], one per kernel; 1 keeps the polygon.
        maximum_distance: limit of D, pixels.

    Returns:
        (V', 2) int32 each, in the order of the ratios; None where one of them vanishes, which only small text does.
        Source: PSENet (CVPR 2019), section 3.4.
    """
    points = polygon.astype(np.int64)
    distances = [min(kernel_distance(points, ratio), maximum_distance) for ratio in ratios]
    kernels: dict[int, np.ndarray] = {}
    different = sorted(set(distances))
    for distance, parts in zip(different, offset_polygon_by(points, [-each for each in different]), strict=True):
        kernel = largest_part(parts)
        if kernel is None:
            return None
        kernels[distance] = kernel.astype(np.int32)
    return [kernels[distance] for distance in distances]
