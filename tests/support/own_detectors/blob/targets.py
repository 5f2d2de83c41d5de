"""What Blob learns from: every text, shrunk by the margin."""

from __future__ import annotations

import cv2
import numpy as np

from scenetext.detectors.blob.config import BlobSettings
from scenetext.geometry.offset import largest_part, offset_polygon
from scenetext.structures import Sample


def targets(sample: Sample, config: BlobSettings) -> dict[str, np.ndarray]:
    """kernel: (H, W) uint8, 1 in the shrunk texts; valid: (H, W) uint8, 0 where text is ignored or too small."""
    kernel = np.zeros(sample.image.shape[:2], np.uint8)
    valid = np.ones_like(kernel)
    for instance in sample.instances:
        if instance.polygon is None:
            continue
        shrunk = None if instance.ignore else largest_part(offset_polygon(instance.polygon, -config.margin))
        if shrunk is None:
            cv2.fillPoly(valid, [instance.polygon.astype(np.int32)], 0)
        else:
            cv2.fillPoly(kernel, [shrunk.astype(np.int32)], 1)
    return {"kernel": kernel, "valid": valid}
