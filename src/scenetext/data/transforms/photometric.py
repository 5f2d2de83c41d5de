"""Random brightness, contrast and saturation as one colour matrix, applied in one pass over the pixels."""

from __future__ import annotations

import cv2
import numpy as np
from pydantic import Field

from scenetext.config import Settings

GREY_WEIGHTS = np.array([0.299, 0.587, 0.114])
"""Luma of R, G, B (ITU-R BT.601)."""


class PhotometricSettings(Settings):
    """How far colours are varied; every factor is drawn uniformly from 1 - x to 1 + x, and 0 switches it off."""

    brightness: float = Field(default=0.125, ge=0, le=1)
    """Factor on all values; 32 / 255 in published DBNet recipes."""
    contrast: float = Field(default=0.2, ge=0, le=1)
    """Factor on the distance from the image's mean grey."""
    saturation: float = Field(default=0.5, ge=0, le=1)
    """Factor on the distance of every pixel from its own grey; 0.5 in published DBNet recipes."""


def draw_colour_matrix(mean_grey: float, settings: PhotometricSettings, generator: np.random.Generator) -> np.ndarray:
    """Draws brightness, contrast and saturation.

    Args:
        mean_grey: mean luma of the image, 0 to 255.

    Returns:
        (3, 4) float64 that takes (r, g, b, 1) to new values, not yet cut to 0..255: saturation first, then contrast,
        then brightness. Nothing is cut between them, so values that one step drives out of range can come back.
    """
    limits = np.array([settings.brightness, settings.contrast, settings.saturation])
    brightness, contrast, saturation = generator.uniform(1 - limits, 1 + limits)
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(GREY_WEIGHTS, (3, 1))
    offset = np.full((3, 1), (1 - contrast) * mean_grey)
    return brightness * np.hstack([contrast * mix, offset])


def vary_colours(image: np.ndarray, settings: PhotometricSettings, generator: np.random.Generator) -> np.ndarray:
    """A new image (H, W, 3) uint8 RGB with randomly varied colours."""
    mean_grey = float(np.dot(cv2.mean(image)[:3], GREY_WEIGHTS))
    return cv2.transform(image, draw_colour_matrix(mean_grey, settings, generator))
