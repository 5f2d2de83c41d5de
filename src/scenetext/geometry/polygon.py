"""One polygon at a time: measures, vertex order, validity, clipping, transformation.

A polygon is an array (V, 2) of (x, y) pixels, x to the right and y downwards, the last vertex joined to the first. Any
numeric type is taken, float32 is returned. Ordered polygons run clockwise as seen on the screen, from the top-left
vertex. Every function raises DataError for another shape and for coordinates that are not finite.
"""

from __future__ import annotations

import cv2
import numpy as np
import shapely

from scenetext.errors import DataError

POLYGON_TYPE = 3
"""What shapely.get_type_id calls a polygon."""


def polygon_area(polygon: np.ndarray) -> float:
    """Enclosed area in square pixels, of either direction; 0 below three vertices.

    Where a polygon crosses itself, lobes of opposite direction cancel: see `valid_polygon`.
    """
    return abs(signed_area(polygon))


def signed_area(polygon: np.ndarray) -> float:
    """Shoelace area in square pixels: positive if clockwise on the screen, negative if counter-clockwise."""
    points = polygon_points(polygon)
    if len(points) < 3:
        return 0.0
    x, y = (points - points[0]).T
    return float(0.5 * (x[:-1] @ y[1:] - x[1:] @ y[:-1]))


def polygon_perimeter(polygon: np.ndarray) -> float:
    """Length of the closed outline in pixels."""
    points = polygon_points(polygon)
    return float(np.hypot(*(points - np.roll(points, 1, axis=0)).T).sum())


def order_polygon(polygon: np.ndarray) -> np.ndarray:
    """The same outline, clockwise on the screen, from the vertex nearest to the top-left corner of the bounding box.

    Nearest means the least x + y, and the higher of two equals. (V, 2) float32.
    """
    points = polygon_points(polygon)
    if not len(points):
        return points.astype(np.float32)
    if signed_area(points) < 0:
        points = points[::-1]
    start = np.lexsort((points[:, 1], points.sum(axis=1)))[0]
    return np.roll(points, -start, axis=0).astype(np.float32)


def is_valid(polygon: np.ndarray) -> bool:
    """Whether the outline bounds an area without touching or crossing itself; repeated neighbours are allowed."""
    points = polygon_points(polygon)
    return len(points) >= 3 and bool(shapely.Polygon(points).is_valid) and polygon_area(points) > 0


def valid_polygon(polygon: np.ndarray) -> np.ndarray | None:
    """The polygon itself where it is valid, else its largest valid part (`order_polygon` order), holes filled.

    Returns:
        (V, 2) float32, or None where nothing has an area: fewer than three different points, all on one line.
    """
    points = polygon_points(polygon).astype(np.float32)
    if len(points) < 3:
        return None
    if is_valid(points):
        return points
    part = largest_part(shapely.make_valid(shapely.Polygon(points)))
    if part is None:
        return None
    ordered = order_polygon(part)
    return ordered if is_valid(ordered) else None


def reordered(polygon: np.ndarray) -> np.ndarray | None:
    """A self-crossing outline in the order of its border, where its vertices were listed in another common order.

    Row by row: the upper border and the lower one both from left to right; of a quadrilateral, top left, top right,
    bottom left, bottom right. Pair by pair: each vertex of the upper border followed by the one below it. Of a
    quadrilateral also diagonal by diagonal; since four corners have three cyclic orders, one that crosses itself always
    gets one that does not.

    Returns:
        (V, 2) float32, clockwise from the same first vertex; None where no such order gives a simple outline.
    """
    points = polygon_points(polygon)
    half = len(points) // 2
    if len(points) < 4 or len(points) % 2:
        return None
    numbers = np.arange(len(points))
    by_row = np.concatenate([numbers[:half], numbers[half:][::-1]])
    by_pair = np.concatenate([numbers[::2], numbers[1::2][::-1]])
    orders = [by_row, by_pair] if half > 2 else [by_row, np.array([0, 2, 1, 3])]
    fitting = (points[order] for order in orders if is_valid(points[order]))
    found = next(fitting, None)
    if found is None:
        return None
    clockwise = found if signed_area(found) > 0 else np.roll(found[::-1], 1, axis=0)
    return clockwise.astype(np.float32)


def rotated_box(center: tuple[float, float], width: float, height: float, angle: float) -> np.ndarray:
    """(4, 2) float32: the corners of a box that is turned about its centre, from the one that was its top left.

    Args:
        center: (x, y) pixels.
        width, height: pixels, before the turn.
        angle: radians, clockwise on the screen.
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * (width, height)
    return (corners @ np.array([[cosine, sine], [-sine, cosine]]) + center).astype(np.float32)


def largest_part(geometry: shapely.Geometry) -> np.ndarray | None:
    """Outline (V, 2) float64 of the largest polygon of a shapely geometry; None where no polygon has an area."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    polygons = parts[shapely.get_type_id(parts) == POLYGON_TYPE]
    areas = shapely.area(polygons)
    if not areas.any():
        return None
    return shapely.get_coordinates(shapely.get_exterior_ring(polygons[areas.argmax()]))[:-1]


def clip_polygon(polygon: np.ndarray, width: float, height: float) -> np.ndarray | None:
    """The part of a polygon inside the image, 0 <= x <= width and 0 <= y <= height.

    The direction is kept, and the first vertex where it is inside. A polygon that needs repair or is split comes back
    as its largest part, as by `valid_polygon`. Cut at one side after the other (Sutherland and Hodgman,
    Reentrant polygon clipping, 1974).

    Returns:
        (V, 2) float32, the polygon itself where it is valid and inside; None where nothing with an area is left.
    """
    valid = valid_polygon(polygon)
    if valid is None:
        return None
    left, top, right, bottom = bounding_box(valid)
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return valid
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        return None
    points = valid.astype(np.float64)
    for axis, limit, sign in ((0, 0.0, 1.0), (0, width, -1.0), (1, 0.0, 1.0), (1, height, -1.0)):
        points = _cut(points, axis, limit, sign)
        if len(points) < 3:
            return None
    return valid_polygon(points)


def transform_polygon(polygon: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points taken through a homogeneous matrix, (x', y', w') = matrix (x, y, 1). Any number of points, 0 included.

    Args:
        matrix: (3, 3), affine or projective.

    Returns:
        (V, 2) float32.

    Raises:
        DataError: a point would go to infinity or behind the viewer (w' zero, or of both signs).
    """
    points = polygon_points(polygon)
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    weight = moved[:, 2:]
    if weight.size and not (weight.min() > 0 or weight.max() < 0):
        raise DataError(f"the matrix {np.asarray(matrix).tolist()} sends points of the polygon to infinity")
    return (moved[:, :2] / weight).astype(np.float32)


def bounding_box(polygon: np.ndarray) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) in pixels.

    Raises:
        DataError: no points.
    """
    points = polygon_points(polygon)
    if not len(points):
        raise DataError("a polygon without points has no bounding box")
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return left, top, right, bottom


def minimum_rectangle(polygon: np.ndarray) -> np.ndarray:
    """The rotated rectangle of least area around the points, (4, 2) float32 in `order_polygon` order.

    Raises:
        DataError: no points.
    """
    points = polygon_points(polygon)
    if not len(points):
        raise DataError("a polygon without points has no minimum rectangle")
    # OpenCV computes in float32: near the origin it keeps more digits.
    origin = points.min(axis=0)
    corners = cv2.boxPoints(cv2.minAreaRect((points - origin).astype(np.float32)))
    return order_polygon(corners + origin)


def polygon_points(polygon: np.ndarray) -> np.ndarray:
    """The checked vertices, (V, 2) float64.

    Raises:
        DataError: another shape, or a coordinate that is not finite.
    """
    points = np.asarray(polygon, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise DataError(f"a polygon has the shape {points.shape}; expected (V, 2), one (x, y) per vertex")
    if not np.isfinite(points).all():
        raise DataError(f"a polygon has coordinates that are not finite: {points.tolist()}")
    return points


def _cut(points: np.ndarray, axis: int, limit: float, sign: float) -> np.ndarray:
    """What is left of a polygon where sign * coordinate >= sign * limit, on one axis."""
    distance = sign * (points[:, axis] - limit)
    inside = distance >= 0
    if inside.all():
        return points
    after, distance_after = np.roll(points, -1, axis=0), np.roll(distance, -1)
    crossing = (inside != np.roll(inside, -1)) & (distance != 0) & (distance_after != 0)
    share = np.divide(distance, distance - distance_after, out=np.zeros_like(distance), where=crossing)
    cuts = points + share[:, None] * (after - points)
    cuts[:, axis] = limit
    both = np.stack([points, cuts], axis=1).reshape(-1, 2)
    return both[np.stack([inside, crossing], axis=1).ravel()]
