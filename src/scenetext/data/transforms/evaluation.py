"""Samples to the network's input: test sizes of detectors, and whole images for pre-training. See `training_transform`
for what detectors are trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from scenetext.config import Settings
from scenetext.data.transforms.crops import contained, cut_counts, visible_boxes
from scenetext.data.transforms.resampling import Resampling
from scenetext.data.transforms.warp import warp_sample
from scenetext.structures import Sample


def check_range(limits: tuple[float, float]) -> tuple[float, float]:
    """The limits of a range.

    Raises:
        ValueError: the upper limit comes first.
    """
    if not limits[0] <= limits[1]:
        raise ValueError("the lower limit comes first")
    return limits


Share = Annotated[float, Field(gt=0, le=1)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(check_range)]
InputSide = Annotated[int, Field(ge=32, multiple_of=32)]
"""Pixels; encoders need multiples of 32."""


class EvaluationTransformSettings(Settings):
    """Test size of detectors: as large as both bounds allow, aspect kept."""

    long_side: int = Field(default=1333, ge=1)
    """Bound of the longer side in pixels; published: 1333 (DBNet R18, PAN), 4068 (DBNet R50), 2240 (PSENet)."""
    short_side: int = Field(default=736, ge=1)
    """Bound of the shorter side in pixels; published: 736 (DBNet R18, PAN), 1024 (DBNet R50), 2240 (PSENet)."""
    least_scale: float = Field(default=0.0, ge=0)
    """Input pixels per stored pixel below which `short_side` reduces no image; `long_side` still does. 1 in TextBPN,
    whose short side only bounds what images are enlarged to."""
    greatest_scale: float | None = Field(default=None, gt=0)
    """Input pixels per stored pixel above which no image is enlarged; null = the bounds alone decide. Text in small
    images is not smaller than in large ones, and enlarged it may be larger than any that was learnt."""
    multiple: InputSide = 32
    """Height and width are padded with black, at the bottom and on the right, to multiples of this."""


_MUCH_LARGER = 4.0
"""Shrinking by more than this leaves of text 30 pixels high less than 8, which detectors miss."""


def describe_test_size(long_sides: Sequence[int], settings: EvaluationTransformSettings) -> list[str]:
    """At which size a detector looks at images, and a warning where most of them are shrunk far.

    Args:
        long_sides: of the images as stored, in pixels.
    """
    bounds = f"evaluation_transform.long_side {settings.long_side}, short_side {settings.short_side}"
    most = "" if settings.greatest_scale is None else f", enlarged by {settings.greatest_scale:g} at most"
    lines = [f"test size: every image is scaled to the bounds of {bounds}{most}"]
    usual = sorted(long_sides)[len(long_sides) // 2] if long_sides else 0
    if usual > _MUCH_LARGER * settings.long_side:
        lines.append(
            f"warning: half of the images have a side of {usual} pixels or more, and this detector looks at "
            f"{settings.long_side}: small text disappears; try --set evaluation_transform.long_side={usual // 2} "
            f"evaluation_transform.short_side={usual // 2}, or train at a larger size"
        )
    return lines


class WholeImageTransformSettings(Settings):
    """Square inputs for oCLIP pre-training, which never lose a word that the image is said to show.

    The published training crops words away and keeps them in the caption; scenetext does not.
    """

    size: InputSide = 512
    """Height and width of the output in pixels; 512 in the paper."""
    mode: Literal["squeeze", "pad"] = "squeeze"
    """squeeze: the whole image fills the square, as published; pad: its aspect is kept, it lies in the top-left corner
    of a black square, and `content_size` says how much of it is image."""
    crop_area: ShareRange = (0.95, 1.0)
    """Share of the image's area that training keeps, drawn uniformly; 0.95 to 1 in the published training. A crop is
    taken only if all words have a polygon, and only if it cuts none of them."""
    crop_attempts: int = Field(default=10, ge=1)
    """Crops that are tried before the whole image is taken."""
    resampling: Resampling = "bilinear"
    """How pixels are made; bicubic (Pillow's, antialiased) is that of the published code, and slower."""


def evaluation_transform(sample: Sample, settings: EvaluationTransformSettings) -> Sample:
    """Scales to the bounds (up as well as down, aspect kept to the rounding of sides to pixels) and pads."""
    height, width = sample.image.shape[:2]
    scale = max(settings.short_side / min(height, width), settings.least_scale)
    scale = min(settings.long_side / max(height, width), scale)
    if settings.greatest_scale is not None:
        scale = min(scale, settings.greatest_scale)
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
    """An image as the published visualiser shows it to oCLIP.

    Its longer side is shrunk to `size` pixels, bicubically, or kept if it is no longer than that; sides are rounded
    down. It lies in the top-left corner of a square of `size`, the rest of which is black here; the published code
    fills it with zeros after normalisation instead.
    """
    height, width = sample.image.shape[:2]
    longest = max(height, width, size)
    content = (max(1, height * size // longest), max(1, width * size // longest))
    matrix = np.diag([content[1] / width, content[0] / height, 1.0])
    return warp_sample(sample, matrix, (size, size), content, resampling="bicubic")


def _draw_harmless_crop(
    sample: Sample, settings: WholeImageTransformSettings, generator: np.random.Generator
) -> np.ndarray:
    """(left, top, right, bottom) in whole pixels, of the image's own aspect; the whole image where none is harmless."""
    size = np.array(sample.image.shape[1::-1])
    whole = np.array([0, 0, *size])
    polygons = [instance.polygon for instance in sample.instances]
    known = [polygon for polygon in polygons if polygon is not None]
    if len(known) < len(polygons):
        return whole
    boxes = visible_boxes(known, whole)
    learnt = visible_boxes([i.polygon for i in sample.instances if i.polygon is not None and not i.ignore], whole)
    sides = np.sqrt(generator.uniform(*settings.crop_area, size=(settings.crop_attempts, 1)))
    window_sizes = np.maximum(np.rint(size * sides), 1)
    corners = np.floor(generator.random((settings.crop_attempts, 2)) * (size - window_sizes + 1))
    windows = np.hstack([corners, corners + window_sizes])
    harmless = cut_counts(boxes, windows) == 0
    if len(learnt):
        harmless &= contained(learnt, windows).any(axis=1)
    return windows[harmless.argmax()].astype(int) if harmless.any() else whole
