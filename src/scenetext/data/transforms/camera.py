"""What a camera does to a finished scene: optics, sensor, compression."""

from __future__ import annotations

from typing import Annotated

import cv2
import numpy as np
from pydantic import AfterValidator, Field

from scenetext.config import Settings
from scenetext.data.transforms.evaluation import check_range

NonNegativeRange = Annotated[
    tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]], AfterValidator(check_range)
]
QualityRange = Annotated[
    tuple[Annotated[int, Field(ge=1, le=100)], Annotated[int, Field(ge=1, le=100)]], AfterValidator(check_range)
]
LEAST_BLUR = 0.3
"""Gaussian sigma in pixels below which a blur changes nothing that is visible."""


class CameraSettings(Settings):
    """What a camera does to the finished scene."""

    blur_sigma: NonNegativeRange = (0.2, 1.1)
    """Gaussian blur, pixels; below 0.3 none is applied."""
    noise: NonNegativeRange = (0.5, 5.0)
    """Standard deviation of sensor noise at middle grey, in levels of 255."""
    jpeg_quality: QualityRange = (55, 95)
    """Quality of the one JPEG compression."""


def capture(image: np.ndarray, settings: CameraSettings, generator: np.random.Generator) -> np.ndarray:
    """A scene (H, W, 3) float32 as a camera records it, (H, W, 3) uint8: blurred, noisy; not yet compressed."""
    sigma = generator.uniform(*settings.blur_sigma)
    if sigma >= LEAST_BLUR:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    level = generator.uniform(*settings.noise)
    if level > 0:
        image = image + _sensor_noise(image, level, generator)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def compress(image: np.ndarray, settings: CameraSettings, generator: np.random.Generator) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG file of random quality."""
    quality = int(generator.integers(*settings.jpeg_quality, endpoint=True))
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError(f"OpenCV could not encode an image {image.shape} as JPEG")
    return data.tobytes()


def decompress(data: bytes) -> np.ndarray:
    """The image in a JPEG file: (H, W, 3) uint8 RGB."""
    image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise RuntimeError("OpenCV could not decode a JPEG that it has made")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def _sensor_noise(image: np.ndarray, level: float, generator: np.random.Generator) -> np.ndarray:
    """Shot noise grows with the square root of the light; colour noise, after demosaicing, is weaker and coarser."""
    height, width = image.shape[:2]
    grain = generator.standard_normal((height, width), dtype=np.float32)
    coarse = generator.standard_normal((-(-height // 2), -(-width // 2), 3), dtype=np.float32)
    tint = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    strength = np.sqrt(image.mean(axis=2) + np.float32(16)) * np.float32(level / 12)
    return strength[..., None] * (np.float32(0.85) * grain[..., None] + np.float32(0.6) * tint)
