"""Samples to the network's input: geometry composed into one matrix and applied once, polygons with the pixels.

Coordinates have their origin at the corner of the top-left pixel, so pixel (column, row) covers [column, column + 1] x
[row, row + 1] and a mirrored image has x' = width - x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from scenetext.config import Settings
from scenetext.data.photometric import PhotometricSettings, vary_colours
from scenetext.data.resampling import Resampling, warp_image
from scenetext.errors import DataError
from scenetext.geometry.polygon import clip_polygon, polygon_area
from scenetext.structures import ImageMeta, Sample, TextInstance

_BORDER_TOLERANCE = 0.01
"""Pixels that a polygon may lie outside the image and still count as inside: rounding of coordinates."""
_ANCHOR_SHARE = 0.95
"""Largest share of the output that the word chosen to be inside may span."""


def _check_range(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] <= limits[1]:
        raise ValueError("the lower limit comes first")
    return limits


Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Range = Annotated[tuple[Finite, Finite], AfterValidator(_check_range)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_check_range)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_check_range)]
InputSide = Annotated[int, Field(ge=32, multiple_of=32)]
"""Pixels; encoders need multiples of 32."""


class TrainingTransformSettings(Settings):
    """Random crops for detectors; by default as DBNet for ICDAR 2015, with mild changes of aspect and colour."""

    size: tuple[InputSide, InputSide] = (640, 640)
    """(height, width) of the output in pixels."""
    horizontal_flip: float = Field(default=0.5, ge=0, le=1)
    """Probability of mirroring; text becomes mirror writing, which a detector has no need to read."""
    rotation: Range = (-10.0, 10.0)
    """Degrees, drawn uniformly; positive turns clockwise."""
    scale: PositiveRange = (0.5, 3.0)
    """Output pixels per stored pixel, drawn uniformly in the logarithm."""
    aspect: PositiveRange = (0.9, 1.1)
    """Change of width relative to height at equal area, drawn uniformly in the logarithm."""
    crop_attempts: int = Field(default=50, ge=1)
    """Places of the crop window that are tried; the first that cuts the fewest words is taken."""
    smallest_visible_share: float = Field(default=0.5, ge=0, le=1)
    """Words of whose area less than this share remains inside become ignored."""
    photometric: PhotometricSettings = PhotometricSettings()
    """Random changes of colour."""


class EvaluationTransformSettings(Settings):
    """Test size of detectors: as large as both bounds allow, aspect kept."""

    long_side: int = Field(default=1333, ge=1)
    """Bound of the longer side in pixels; published: 1333 (DBNet R18, PAN), 4068 (DBNet R50), 2240 (PSENet)."""
    short_side: int = Field(default=736, ge=1)
    """Bound of the shorter side in pixels; published: 736 (DBNet R18, PAN), 1024 (DBNet R50), 2240 (PSENet)."""
    multiple: InputSide = 32
    """Height and width are padded with black, at the bottom and on the right, to multiples of this."""


class WholeImageTransformSettings(Settings):
    """Square inputs for oCLIP pre-training, which never lose a word that the image is said to show.

    The published training crops words away and keeps them in the caption; ours does not.
    """

    size: InputSide = 512
    """Height and width of the output in pixels; 512 in the paper."""
    mode: Literal["squeeze", "pad"] = "squeeze"
    """squeeze: the whole image fills the square, as published; pad: its aspect is kept, it lies in the top-left corner
    of a black square, and `content_size` tells how much of it is image."""
    crop_area: ShareRange = (0.95, 1.0)
    """Share of the image's area that training keeps, drawn uniformly; 0.95 to 1 in the published training. A crop is
    taken only where all places of words are known, and only where it cuts none of them."""
    crop_attempts: int = Field(default=10, ge=1)
    """Crops that are tried before the whole image is taken."""
    resampling: Resampling = "bilinear"
    """How pixels are made; bicubic (Pillow's, antialiased) is that of the published code, and slower."""


def training_transform(sample: Sample, settings: TrainingTransformSettings, generator: np.random.Generator) -> Sample:
    """Mirrors, turns, scales and crops at random, in one warp; then varies the colours.

    The crop window contains at least one word that is not ignored, where there is one (the scale is lowered where that
    word would not fit), and cuts as few others as can be had. Where the image is smaller than the output, it lies at
    the top left and the rest is black. Instances of unknown place are kept: whether they are still visible is unknown.
    """
    height, width = settings.size
    linear = _draw_linear(settings, generator)
    content = _bounds(_corners(sample.image) @ linear.T)
    words = [i.polygon for i in sample.instances if i.polygon is not None and not i.ignore]
    boxes = _visible_boxes([word @ linear.T for word in words], content)
    anchor = boxes[generator.integers(len(boxes))] if len(boxes) else None
    scale = float(np.exp(generator.uniform(*np.log(settings.scale))))
    if anchor is not None:
        scale = min(scale, _ANCHOR_SHARE * float((np.array([width, height]) / (anchor[2:] - anchor[:2])).min()))
    corner = _choose_window(
        boxes * scale,
        None if anchor is None else anchor * scale,
        content * scale,
        np.array([width, height]),
        settings.crop_attempts,
        generator,
    )
    matrix = np.eye(3)
    matrix[:2, :2] = scale * linear
    matrix[:2, 2] = -corner
    content_width, content_height = np.ceil(content[2:] * scale - corner - _BORDER_TOLERANCE).astype(int).tolist()
    content_size = (min(max(content_height, 1), height), min(max(content_width, 1), width))
    warped = warp_sample(sample, matrix, settings.size, content_size, settings.smallest_visible_share)
    image = np.zeros_like(warped.image)
    shown = slice(content_size[0]), slice(content_size[1])
    image[shown] = vary_colours(warped.image[shown], settings.photometric, generator)
    return replace(warped, image=image)


def evaluation_transform(sample: Sample, settings: EvaluationTransformSettings) -> Sample:
    """Scales to the bounds (up as well as down, aspect kept to the rounding of sides to pixels) and pads."""
    height, width = sample.image.shape[:2]
    scale = min(settings.long_side / max(height, width), settings.short_side / min(height, width))
    content_size = (max(1, round(height * scale)), max(1, round(width * scale)))
    size = tuple(-(-side // settings.multiple) * settings.multiple for side in content_size)
    matrix = np.diag([content_size[1] / width, content_size[0] / height, 1.0])
    return warp_sample(sample, matrix, (size[0], size[1]), content_size)


def whole_image_transform(
    sample: Sample, settings: WholeImageTransformSettings, generator: np.random.Generator | None
) -> Sample:
    """The whole image, or with a generator a crop that cuts no word, in a square.

    Words that are wholly outside the crop are dropped with their text; at least one word stays where there is one.
    """
    height, width = sample.image.shape[:2]
    window = np.array([0, 0, width, height])
    if generator is not None:
        window = _draw_harmless_crop(sample, settings, generator)
    window_size = window[2:] - window[:2]
    if settings.mode == "squeeze":
        content = np.array([settings.size, settings.size])
    else:
        content = np.maximum(np.rint(window_size * (settings.size / window_size.max())), 1).astype(int)
    matrix = np.diag([*(content / window_size), 1.0])
    matrix[:2, 2] = -window[:2] * (content / window_size)
    return warp_sample(
        sample,
        matrix,
        (settings.size, settings.size),
        (int(content[1]), int(content[0])),
        resampling=settings.resampling,
    )


def published_view(sample: Sample, size: int) -> Sample:
    """A photograph as the published visualiser shows it to oCLIP.

    Its longer side is shrunk to `size` pixels, bicubically, or left where it is no longer than that; sides are rounded
    down. It lies in the top-left corner of a square of `size`, the rest of which is black here; the published code
    fills it with zeros after normalisation instead.
    """
    height, width = sample.image.shape[:2]
    longest = max(height, width, size)
    content = (max(1, height * size // longest), max(1, width * size // longest))
    matrix = np.diag([content[1] / width, content[0] / height, 1.0])
    return warp_sample(sample, matrix, (size, size), content, resampling="bicubic")


def warp_sample(
    sample: Sample,
    matrix: np.ndarray,
    size: tuple[int, int],
    content_size: tuple[int, int],
    smallest_visible_share: float = 0.5,
    resampling: Resampling = "bilinear",
) -> Sample:
    """A sample seen through an affine matrix.

    Polygons that are partly outside the content are cut at its border, and ignored where too little of them remains;
    polygons wholly outside are dropped. A matrix that mirrors also reverses the vertices, so that polygons stay
    clockwise (or whatever they were), and the first half of them stays the upper side of the text. Texts are kept.

    Args:
        sample: polygons in pixels of its image.
        matrix: (3, 3), affine and invertible; takes (x, y, 1) of the current image to pixels of the new one.
        size: (height, width) of the new image.
        content_size: (height, width) of its part, from the top-left corner, that may show the photograph; the rest is
            black.
        smallest_visible_share: of a polygon's area, from 0 to 1.
        resampling: bicubic for windows of whole pixels alone.

    Raises:
        DataError: the matrix is not affine or not invertible, or the resampling is not for it.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    determinant = np.linalg.det(matrix) if np.isfinite(matrix).all() else 0.0
    if not determinant or not np.array_equal(matrix[2], [0, 0, 1]):
        raise DataError(f"a warp needs an affine matrix that can be inverted, got {matrix.tolist()}")
    image = warp_image(sample.image, matrix, content_size, resampling)
    if content_size != size:
        canvas = np.zeros((*size, 3), dtype=np.uint8)
        canvas[: content_size[0], : content_size[1]] = image
        image = canvas
    instances = [
        _warp_instance(instance, matrix, bool(determinant < 0), content_size, smallest_visible_share)
        for instance in sample.instances
    ]
    meta = ImageMeta(
        path=sample.meta.path,
        original_size=sample.meta.original_size,
        to_original=sample.meta.to_original @ np.linalg.inv(matrix),
        content_size=content_size,
    )
    return Sample(image, tuple(instance for instance in instances if instance is not None), meta)


def _warp_instance(
    instance: TextInstance,
    matrix: np.ndarray,
    mirrored: bool,
    content_size: tuple[int, int],
    smallest_visible_share: float,
) -> TextInstance | None:
    """The instance in the new frame; None where nothing of it is inside the content."""
    if instance.polygon is None:
        return instance
    polygon = (instance.polygon @ matrix[:2, :2].T + matrix[:2, 2]).astype(np.float32)
    if mirrored:
        polygon = np.roll(polygon[::-1], len(polygon) // 2, axis=0)
    height, width = content_size
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    if (low >= -_BORDER_TOLERANCE).all() and (high <= np.array([width, height]) + _BORDER_TOLERANCE).all():
        return replace(instance, polygon=polygon)
    if (high <= 0).any() or (low >= [width, height]).any():
        return None
    visible = clip_polygon(polygon, width, height)
    if visible is None:
        return None
    # The areas of crossing outlines cancel, so the share can exceed 1 there; the part that is left is valid.
    too_little = polygon_area(visible) < smallest_visible_share * polygon_area(polygon)
    return replace(instance, polygon=visible, ignore=instance.ignore or too_little)


def _draw_linear(settings: TrainingTransformSettings, generator: np.random.Generator) -> np.ndarray:
    """(2, 2): mirror, then aspect, then rotation, at unit scale. Always three draws, whatever the settings."""
    mirror = -1.0 if generator.random() < settings.horizontal_flip else 1.0
    stretch = float(np.exp(0.5 * generator.uniform(*np.log(settings.aspect))))
    angle = np.deg2rad(generator.uniform(*settings.rotation))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([stretch * mirror, 1 / stretch])


def _choose_window(
    boxes: np.ndarray,
    anchor: np.ndarray | None,
    content: np.ndarray,
    size: np.ndarray,
    attempts: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Top-left corner (x, y) of a window of `size` (x, y) that contains the anchor and cuts the fewest boxes.

    All boxes are (left, top, right, bottom) in one frame; `content` bounds the image in it. The window stays inside
    the content on every axis on which it fits, and starts with it on the others.
    """
    low = content[:2]
    high = np.maximum(content[2:] - size, low)
    if anchor is not None:
        low, high = np.maximum(low, anchor[2:] - size), np.minimum(high, anchor[:2])
    corners = generator.uniform(low, np.maximum(low, high), size=(attempts, 2))
    return corners[_cut_counts(boxes, np.hstack([corners, corners + size])).argmin()]


def _draw_harmless_crop(
    sample: Sample, settings: WholeImageTransformSettings, generator: np.random.Generator
) -> np.ndarray:
    """(left, top, right, bottom) in whole pixels, of the image's own aspect; the whole image where none is harmless."""
    size = np.array(sample.image.shape[1::-1])
    whole = np.array([0, 0, *size])
    polygons = [instance.polygon for instance in sample.instances]
    placed = [polygon for polygon in polygons if polygon is not None]
    if len(placed) < len(polygons):
        return whole
    boxes = _visible_boxes(placed, whole)
    learnt = _visible_boxes([i.polygon for i in sample.instances if i.polygon is not None and not i.ignore], whole)
    sides = np.sqrt(generator.uniform(*settings.crop_area, size=(settings.crop_attempts, 1)))
    window_sizes = np.maximum(np.rint(size * sides), 1)
    corners = np.floor(generator.random((settings.crop_attempts, 2)) * (size - window_sizes + 1))
    windows = np.hstack([corners, corners + window_sizes])
    harmless = _cut_counts(boxes, windows) == 0
    if len(learnt):
        harmless &= _contained(learnt, windows).any(axis=1)
    return windows[harmless.argmax()].astype(int) if harmless.any() else whole


def _cut_counts(boxes: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """(N,): how many of the boxes (K, 4) each window (N, 4) shows in part."""
    overlap = (boxes[None, :, :2] < windows[:, None, 2:]) & (boxes[None, :, 2:] > windows[:, None, :2])
    return (overlap.all(axis=2) & ~_contained(boxes, windows)).sum(axis=1)


def _contained(boxes: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """(N, K): whether window (N, 4) contains box (K, 4)."""
    after = boxes[None, :, :2] >= windows[:, None, :2] - _BORDER_TOLERANCE
    before = boxes[None, :, 2:] <= windows[:, None, 2:] + _BORDER_TOLERANCE
    return np.all(after & before, axis=2)


def _visible_boxes(polygons: Sequence[np.ndarray], content: np.ndarray) -> np.ndarray:
    """(K, 4) bounding boxes of polygons, cut at the content; those wholly outside it are left out."""
    boxes = np.array([_bounds(polygon) for polygon in polygons], dtype=np.float64).reshape(-1, 4)
    boxes = np.hstack([np.maximum(boxes[:, :2], content[:2]), np.minimum(boxes[:, 2:], content[2:])])
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]


def _bounds(points: np.ndarray) -> np.ndarray:
    """(left, top, right, bottom) of points (V, 2)."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _corners(image: np.ndarray) -> np.ndarray:
    """(4, 2) corners of an image."""
    height, width = image.shape[:2]
    return np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])
