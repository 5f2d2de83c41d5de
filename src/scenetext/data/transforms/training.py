"""Samples to what detectors are trained on: every random choice becomes a parameter of one matrix, applied once."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from scenetext.config import Settings
from scenetext.data.transforms.crops import bounds, choose_region, choose_window, visible_boxes
from scenetext.data.transforms.evaluation import InputSide, Share, check_range
from scenetext.data.transforms.photometric import PhotometricSettings, vary_colours
from scenetext.data.transforms.warp import BORDER_TOLERANCE, warp_sample
from scenetext.structures import Sample

_ANCHOR_SHARE = 0.95
"""Largest share of the output that the word chosen to be inside may span."""

_READABLE_SHARE = 0.9
"""A word of whose area less remains inside is still located, but no longer learnt to be read."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[tuple[Finite, Finite], AfterValidator(check_range)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(check_range)]
Distribution = Literal["log_uniform", "uniform"]


class RegionCropSettings(Settings):
    """Crops of random extent that cut no text, scaled to fill the output: EAST's crop, which DBNet and FCENet use.

    The region's extent alone decides the scale: the published recipes resize at random before they crop, but since the
    extent is drawn relative to the resized image and then scaled to the output, that changes nothing but the blur.
    """

    minimum_side: Share = 0.1
    """Least width and height of the region, as a share of the frame's; published: 0.1 (DBNet), 0.3 (FCENet)."""
    probability: Probability = 1.0
    """Of cropping at all; otherwise, and where there is no text, the whole frame is taken."""
    squeeze: Probability = 0.0
    """Probability that the region fills the output, its aspect ignored; otherwise its aspect is kept and the rest of
    the output, at the bottom or on the right, is black."""


class TrainingTransformSettings(Settings):
    """Random geometry and colour for detectors; the defaults suit small text, the published recipes are under
    configs/detectors."""

    size: tuple[InputSide, InputSide] = (640, 640)
    """(height, width) of the output in pixels."""
    horizontal_flip: Probability = 0.5
    """Probability of mirroring; text becomes mirror writing, which a detector does not need to read."""
    rotation: Range = (-10.0, 10.0)
    """Degrees, drawn uniformly; positive turns clockwise."""
    rotation_probability: Probability = 1.0
    """Of turning at all."""
    canvas: Literal["grow", "keep"] = "grow"
    """The frame that is cropped from. grow: the box around the whole turned image; keep: a frame of the unturned
    image's size about its centre, which loses the corners (published, but for FCENet)."""
    scale: PositiveRange = (0.5, 3.0)
    """Output pixels per stored pixel, lowered where the word that has to be inside would not fit; see `scale_unit`.
    Without effect where `region` is set."""
    scale_unit: Literal["stored", "short_side", "long_side"] = "stored"
    """What a scale of 1 means: stored pixels as they are, or the image's shorter side as long as the output's (PSENet,
    PAN), or the longer ones (Mask R-CNN)."""
    aspect: PositiveRange = (0.9, 1.1)
    """Change of width relative to height at equal area."""
    distribution: Distribution = "log_uniform"
    """How scale and aspect are drawn: evenly in the logarithm, or evenly as published."""
    region: RegionCropSettings | None = None
    """Crops of random extent; null = windows of the output's size at the drawn scale."""
    crop_attempts: int = Field(default=50, ge=1)
    """Positions of the window that are tried; the first that cuts the fewest words is taken. 1 = one at random."""
    text_probability: Probability = 1.0
    """Probability that the window has to contain a word; 5/8 in PSENet and PAN."""
    smallest_visible_share: Probability = 0.5
    """Words of whose area less than this share remains inside become ignored; 0 = none, as published."""
    photometric: PhotometricSettings = PhotometricSettings()
    """Random changes of colour."""


def training_transform(sample: Sample, settings: TrainingTransformSettings, generator: np.random.Generator) -> Sample:
    """Random geometry (`training_geometry`); then varies the colours."""
    return vary_content(training_geometry(sample, settings, generator), settings.photometric, generator)


def training_geometry(sample: Sample, settings: TrainingTransformSettings, generator: np.random.Generator) -> Sample:
    """Mirrors, turns, scales and crops at random, in one warp.

    Cropped is a window (or a region, see `RegionCropSettings`) that contains at least one word that is not ignored,
    where there is one. Of windows, one is taken that cuts as few others as can be had; regions cut none. Where the
    image is smaller than the output, it lies at the top left and the rest is black. What becomes of words at the
    border, see `warp_sample`. Instances without polygon are kept: whether they are still visible is unknown.
    """
    linear = _draw_linear(settings, generator)
    frame = _frame(sample.image.shape, linear, settings.canvas)
    words = [i.polygon @ linear.T for i in sample.instances if i.polygon is not None and not i.ignore]
    crop = _draw_window if settings.region is None else _draw_region
    matrix, shown = crop(visible_boxes(words, frame), frame, sample.image.shape, settings, generator)
    width, height = np.clip(np.ceil(shown - BORDER_TOLERANCE), 1, settings.size[::-1]).astype(int).tolist()
    linear_3d = np.eye(3)
    linear_3d[:2, :2] = linear
    shares = settings.smallest_visible_share, _READABLE_SHARE
    return warp_sample(sample, matrix @ linear_3d, settings.size, (height, width), *shares)


def vary_content(sample: Sample, settings: PhotometricSettings, generator: np.random.Generator) -> Sample:
    """Randomly varied colours where the image is; padding stays black."""
    height, width = sample.meta.content_size
    content = vary_colours(sample.image[:height, :width], settings, generator)
    if content.shape == sample.image.shape:
        return replace(sample, image=content)
    image = np.zeros_like(sample.image)
    image[:height, :width] = content
    return replace(sample, image=image)


def _draw_linear(settings: TrainingTransformSettings, generator: np.random.Generator) -> np.ndarray:
    """(2, 2): mirror, then aspect, then rotation, at unit scale."""
    mirror = -1.0 if generator.random() < settings.horizontal_flip else 1.0
    stretch = _draw(settings.aspect, settings.distribution, generator) ** 0.5
    turned = generator.random() < settings.rotation_probability
    angle = np.deg2rad(generator.uniform(*settings.rotation)) if turned else 0.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ np.diag([stretch * mirror, 1 / stretch])


def _draw(limits: tuple[float, float], distribution: Distribution, generator: np.random.Generator) -> float:
    if distribution == "uniform":
        return float(generator.uniform(*limits))
    return float(np.exp(generator.uniform(*np.log(limits))))


def _frame(shape: tuple[int, ...], linear: np.ndarray, canvas: Literal["grow", "keep"]) -> np.ndarray:
    """(left, top, right, bottom) of what may be cropped of an image of this shape, after the linear map."""
    height, width = shape[:2]
    if canvas == "grow":
        return bounds(np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]]) @ linear.T)
    centre = linear @ (0.5 * width, 0.5 * height)
    half = 0.5 * np.array([width, height]) * np.linalg.norm(linear, axis=0)
    return np.concatenate([centre - half, centre + half])


def _draw_window(
    boxes: np.ndarray,
    frame: np.ndarray,
    shape: tuple[int, ...],
    settings: TrainingTransformSettings,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The matrix (3, 3) that scales and moves a window to the output, and how far (x, y) the frame reaches in it."""
    size = np.array(settings.size[::-1])
    anchored = len(boxes) > 0 and generator.random() < settings.text_probability
    anchor = boxes[generator.integers(len(boxes))] if anchored else None
    scale = _draw(settings.scale, settings.distribution, generator)
    if settings.scale_unit != "stored":
        side = min if settings.scale_unit == "short_side" else max
        scale *= side(settings.size) / side(shape[:2])
    if anchor is not None:
        scale = min(scale, _ANCHOR_SHARE * float((size / (anchor[2:] - anchor[:2])).min()))
        anchor = anchor * scale
    corner = choose_window(boxes * scale, anchor, frame * scale, size, settings.crop_attempts, generator)
    return _to_output(np.full(2, scale), corner), frame[2:] * scale - corner


def _draw_region(
    boxes: np.ndarray,
    frame: np.ndarray,
    _shape: tuple[int, ...],
    settings: TrainingTransformSettings,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """As `_draw_window`, for a region of random extent."""
    crop = settings.region or RegionCropSettings()
    region = frame
    if len(boxes) and generator.random() < crop.probability:
        region = choose_region(boxes, boxes[generator.integers(len(boxes))], frame, crop.minimum_side, generator)
    extent = region[2:] - region[:2]
    scale = np.array(settings.size[::-1]) / extent
    if not generator.random() < crop.squeeze:
        scale = np.full(2, scale.min())
    return _to_output(scale, region[:2] * scale), extent * scale


def _to_output(scale: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """(3, 3): scales (x, y), then moves the scaled `corner` to the origin."""
    matrix = np.diag([*scale, 1.0])
    matrix[:2, 2] = -corner
    return matrix
