"""Text kernels: polygons shrunk by several ratios at once, as PSENet and PAN learn them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scenetext.geometry.offset import largest_part, offset_polygon_by, shrink_distance


def shrink_to_kernels(polygon: np.ndarray, ratios: Sequence[float], maximum_distance: int) -> list[np.ndarray] | None:
    """The kernels of one text.

    As published, coordinates are cut to integers, and distances D = A (1 - r^2) / L are rounded to whole pixels and
    limited. Of a kernel that falls apart the largest part is used.

    Args:
        polygon: (V, 2) in pixels.
        ratios: r in (0, 1], one per kernel; 1 keeps the polygon.
        maximum_distance: limit of D, pixels.

    Returns:
        (V', 2) int32 each, in the order of the ratios; None where one of them vanishes, which only small text does.
        Source: PSENet (CVPR 2019), section 3.4.
    """
    points = polygon.astype(np.int64)
    distances = [min(int(shrink_distance(points, ratio) + 0.5), maximum_distance) for ratio in ratios]
    kernels: dict[int, np.ndarray] = {}
    different = sorted(set(distances))
    for distance, parts in zip(different, offset_polygon_by(points, [-each for each in different]), strict=True):
        kernel = largest_part(parts)
        if kernel is None:
            return None
        kernels[distance] = kernel.astype(np.int32)
    return [kernels[distance] for distance in distances]
