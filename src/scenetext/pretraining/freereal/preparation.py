"""What a loader process makes of a glyph layer and an unlabelled image; instances travel as padded arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from torch import Tensor

from scenetext.data.transforms.photometric import GREY_WEIGHTS
from scenetext.data.transforms.training import TrainingTransformSettings, training_geometry, vary_content
from scenetext.data.transforms.warp import warp_instances
from scenetext.errors import DataError
from scenetext.pretraining.freereal.config import FreeRealSettings, StrongViewSettings
from scenetext.structures import PreparedSample, Sample, TextInstance

STRONG, LAYER, SEED = "strong", "layer", "mixing_seed"
"""Targets of a sample: (H, W, 3) uint8; (H, W, 4) uint8, or (H, W, 3) without glyphs; () int64."""
WORDS, TRUTH = "words", "truth"
"""Prefixes of packed instances: of the layer, and what the unlabelled image's record says, to measure against."""
_LARGEST_SEED = 2**31


def prepare_mixture(
    sample: Sample,
    settings: FreeRealSettings,
    transform: TrainingTransformSettings,
    generator: np.random.Generator,
) -> PreparedSample:
    """The weak view of the unlabelled image of a sample as image; all that the student is to see as targets.

    Crops of the unlabelled image do not depend on what its record says of its text.

    Raises:
        DataError: glyphs are to be pasted, and the image is no glyph layer; or there is no unlabelled image.
    """
    other = sample.unlabelled
    if other is None:
        raise DataError("there is no unlabelled image beside it; name some in data.unlabelled", sample.meta.path)
    if settings.glyphs and sample.image.shape[2] != 4:
        raise DataError(
            "is no glyph layer: it has no fourth channel that says which pixels are letters; make layers with "
            "scenetext generate --glyphs, or set method.glyphs=false",
            sample.meta.path,
        )
    weak = training_geometry(replace(other, instances=()), transform, generator)
    truth = warp_instances(other.instances, np.linalg.inv(weak.meta.to_original), weak.meta.content_size)
    strong = strong_view(weak, settings.strong, generator)
    channels = 4 if settings.glyphs else 3
    layer = training_geometry(
        replace(sample, image=sample.image[..., :channels], unlabelled=None), transform, generator
    )
    targets = {
        STRONG: strong,
        LAYER: layer.image,
        SEED: generator.integers(_LARGEST_SEED, size=()).astype(np.int64),
        **pack_instances(WORDS, layer.instances),
        **pack_instances(TRUTH, truth),
    }
    return PreparedSample(weak, targets)


def strong_view(sample: Sample, settings: StrongViewSettings, generator: np.random.Generator) -> np.ndarray:
    """The image (H, W, 3) uint8 with other colours, grey perhaps, and blurred perhaps."""
    image = vary_content(sample, settings.photometric, generator).image
    if generator.random() < settings.grey:
        image = cv2.transform(image, np.tile(GREY_WEIGHTS, (3, 1)))
    sigma = generator.uniform(*settings.blur_sigma)
    if generator.random() < settings.blur and sigma > 0:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    return image


def pack_instances(prefix: str, instances: Sequence[TextInstance]) -> dict[str, np.ndarray]:
    """Instances with polygons as arrays that can be padded with zeros to those of a batch.

    Returns:
        "<prefix>_points" (n, V, 2) float32, "<prefix>_vertices" (n,) int64, how many of the V are the polygon's, 0 for
        padding; "<prefix>_ignored" (n,) bool.
    """
    kept = [(instance.polygon, instance.ignore) for instance in instances if instance.polygon is not None]
    points = np.zeros((len(kept), max((len(polygon) for polygon, _ in kept), default=0), 2), dtype=np.float32)
    for row, (polygon, _) in zip(points, kept, strict=True):
        row[: len(polygon)] = polygon
    return {
        f"{prefix}_points": points,
        f"{prefix}_vertices": np.array([len(polygon) for polygon, _ in kept], dtype=np.int64),
        f"{prefix}_ignored": np.array([ignored for _, ignored in kept], dtype=bool),
    }


def unpack_instances(prefix: str, targets: Mapping[str, Tensor], index: int) -> tuple[TextInstance, ...]:
    """The instances of one image of a batch, without texts: see `pack_instances`."""
    points, vertices, ignored = (
        targets[f"{prefix}_{name}"][index].cpu().numpy() for name in ("points", "vertices", "ignored")
    )
    return tuple(
        TextInstance(polygon[:count].copy(), None, bool(flag))
        for polygon, count, flag in zip(points, vertices, ignored, strict=True)
        if count
    )
