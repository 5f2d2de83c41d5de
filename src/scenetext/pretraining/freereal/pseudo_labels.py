"""Detections of the teacher as instances, and what becomes of them where something is put over them.

Pseudo labels are polygons here; the paper mixes maps. So any detector's own targets are made of the mixed instances.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import shapely

from scenetext.geometry.polygon import POLYGON_TYPE, clip_polygon, order_polygon, valid_polygon
from scenetext.structures import Detection, TextInstance

LEAST_AREA = 4.0
"""Square pixels; smaller leftovers of a pseudo text are dropped."""


def pseudo_instances(
    found: Sequence[Detection], content_size: tuple[int, int], sure: float, unsure: float
) -> tuple[TextInstance, ...]:
    """Detections as instances without text: those from `sure` on, and, to be ignored, those from `unsure` on.

    Args:
        found: in pixels of the image that is learnt from.
        content_size: (height, width) of the part of it that is no padding; polygons are cut there.
        sure, unsure: scores in [0, 1].
    """
    instances = []
    for detection in found:
        if not detection.score >= unsure:
            continue
        polygon = clip_polygon(detection.polygon, content_size[1], content_size[0])
        if polygon is not None:
            instances.append(TextInstance(polygon, None, ignore=bool(detection.score < sure)))
    return tuple(instances)


def after_cover(
    instance: TextInstance, covers: Sequence[np.ndarray], largest_share: float = 0.0
) -> tuple[TextInstance, ...]:
    """What is left of a pseudo text that others lie over.

    A sure one of which no more than `largest_share` of the area is covered stays; of all others that are touched, the
    uncovered parts are ignored.

    Args:
        covers: polygons (V, 2) in pixels of the same image.
        largest_share: in [0, 1].
    """
    shape = _shape(instance.polygon)
    if shape is None:
        return ()
    above = shapely.union_all([cover for cover in map(_shape, covers) if cover is not None])
    share = shapely.intersection(shape, above).area / shape.area
    if share < 1e-6 or (not instance.ignore and share <= largest_share):
        return (instance,)
    parts = _without_holes(shapely.difference(shape, above))
    return tuple(replace(instance, polygon=part, ignore=True, characters=None) for part in parts)


def _shape(polygon: np.ndarray | None) -> shapely.Polygon | None:
    valid = None if polygon is None else valid_polygon(polygon)
    return None if valid is None else shapely.Polygon(valid)


def _without_holes(geometry: shapely.Geometry) -> Iterator[np.ndarray]:
    """The outlines (V, 2) float32 of all polygons in it; one with a hole is cut in two through the hole."""
    for part in shapely.get_parts(shapely.get_parts(geometry)):
        if shapely.get_type_id(part) != POLYGON_TYPE or part.area < LEAST_AREA:
            continue
        if not part.interiors:
            yield order_polygon(shapely.get_coordinates(part.exterior)[:-1])
            continue
        left, top, right, bottom = part.bounds
        middle = part.interiors[0].centroid.x
        for side in ((left, middle), (middle, right)):
            yield from _without_holes(shapely.intersection(part, shapely.box(side[0], top, side[1], bottom)))
