"""A sample seen through one affine matrix: pixels warped once, polygons with them.

Coordinates have their origin at the corner of the top-left pixel, so pixel (column, row) covers [column, column + 1] x
[row, row + 1] and a mirrored image has x' = width - x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scenetext.data.transforms.resampling import Resampling, warp_image
from scenetext.errors import DataError
from scenetext.geometry.polygon import clip_polygon, polygon_area
from scenetext.structures import ImageMeta, Sample, TextInstance

BORDER_TOLERANCE = 0.01
"""Pixels that a polygon may lie outside the image and still count as inside: rounding of coordinates."""


def warp_sample(
    sample: Sample,
    matrix: np.ndarray,
    size: tuple[int, int],
    content_size: tuple[int, int],
    smallest_visible_share: float = 0.5,
    smallest_readable_share: float = 0.0,
    resampling: Resampling = "bilinear",
) -> Sample:
    """A sample seen through an affine matrix.

    A polygon wholly inside the content is only moved, of any shape; wholly outside, it is
    dropped; partly outside, it is cut at the border (a self-crossing one is repaired first, and the largest part
    counts), dropped where nothing with an area remains, and ignored where less than the smallest visible share does.
    A matrix that mirrors also reverses the vertices, so that polygons keep their direction, clockwise or not, and the
    first half of them stays the upper side of the text. Instances without polygon are kept. Texts are kept but for
    those of which less than the smallest readable share remains: these are no longer known, as their polygon no longer
    shows all that they say. Characters move with their text, and are no longer known of one that is cut.

    Args:
        sample: polygons in pixels of its image.
        matrix: (3, 3), affine and invertible; takes (x, y, 1) of the current image to pixels of the new one.
        size: (height, width) of the new image.
        content_size: (height, width) of its part, from the top-left corner, that may show the image; the rest is
            black.
        smallest_visible_share, smallest_readable_share: of a polygon's area, from 0 to 1.
        resampling: bicubic for windows of whole pixels alone.

    Raises:
        DataError: the matrix is not affine or not invertible, or the resampling is not for it.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    invertible = np.isfinite(matrix).all() and np.linalg.det(matrix) != 0
    if not invertible or not np.array_equal(matrix[2], [0, 0, 1]):
        raise DataError(f"a warp needs an affine matrix that can be inverted, got {matrix.tolist()}")
    image = warp_image(sample.image, matrix, content_size, resampling)
    if content_size != size:
        canvas = np.zeros((*size, *image.shape[2:]), dtype=np.uint8)
        canvas[: content_size[0], : content_size[1]] = image
        image = canvas
    meta = ImageMeta(
        path=sample.meta.path,
        original_size=sample.meta.original_size,
        to_original=sample.meta.to_original @ np.linalg.inv(matrix),
        content_size=content_size,
    )
    shares = smallest_visible_share, smallest_readable_share
    return Sample(image, warp_instances(sample.instances, matrix, content_size, *shares), meta)


def warp_instances(
    instances: Sequence[TextInstance],
    matrix: np.ndarray,
    content_size: tuple[int, int],
    smallest_visible_share: float = 0.5,
    smallest_readable_share: float = 0.0,
) -> tuple[TextInstance, ...]:
    """The instances that are left after a warp, as `warp_sample` moves, cuts and ignores them."""
    mirrored = bool(np.linalg.det(matrix) < 0)
    shares = smallest_visible_share, smallest_readable_share
    warped = [_warp_instance(one, matrix, mirrored, content_size, *shares) for one in instances]
    return tuple(instance for instance in warped if instance is not None)


def _warp_instance(
    instance: TextInstance,
    matrix: np.ndarray,
    mirrored: bool,
    content_size: tuple[int, int],
    smallest_visible_share: float,
    smallest_readable_share: float,
) -> TextInstance | None:
    """The instance in the new frame; None where nothing of it is inside the content."""
    moved = instance.moved(lambda points: points @ matrix[:2, :2].T + matrix[:2, 2])
    polygon = moved.polygon
    if polygon is None:
        return instance
    if mirrored:  # reversed, then rolled by half: the upper side of the text stays the first half
        polygon = np.roll(polygon[::-1], len(polygon) // 2, axis=0)
    height, width = content_size
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    if (low >= -BORDER_TOLERANCE).all() and (high <= np.array([width, height]) + BORDER_TOLERANCE).all():
        return replace(moved, polygon=polygon)
    if (high <= 0).any() or (low >= [width, height]).any():
        return None
    visible = clip_polygon(polygon, width, height)
    if visible is None:
        return None
    # The areas of crossing outlines cancel, so the share can exceed 1 there; the part that is left is valid.
    area, whole = polygon_area(visible), polygon_area(polygon)
    ignore = instance.ignore or area < smallest_visible_share * whole
    text = None if area < smallest_readable_share * whole else instance.text
    return replace(instance, polygon=visible, text=text, ignore=ignore, characters=None)
