"""MMOCR's Mask R-CNN of few channels, whose outputs lie in tests/golden/maskrcnn, with scenetext's head."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from golden import golden_arrays
from scenetext.detectors.maskrcnn.config import MaskRCNNDecoding, MaskRCNNSettings
from scenetext.detectors.maskrcnn.mmocr import NAMES
from scenetext.detectors.maskrcnn.model import MaskRCNNHead, head
from scenetext.structures import Features, ImageMeta, Sample, TextInstance
from scenetext.weights.mmocr import rename_prefix

IMAGES = (0, 1)
HEIGHT, WIDTH, PADDED_WIDTH = 160, 220, 224
"""Of the images; boxes are cut at 220, before the padding."""
SETTINGS = MaskRCNNSettings(
    pyramid_channels=8,
    box_channels=32,
    mask_channels=8,
    ignored_text="background",
    decoding=MaskRCNNDecoding(contours="all"),
)


@cache
def arrays(name: str) -> dict[str, np.ndarray]:
    return golden_arrays("maskrcnn", name)


def tensors(name: str) -> dict[str, Tensor]:
    return {key: torch.from_numpy(value) for key, value in arrays(name).items()}


def mmocr_name(name: str) -> str:
    """MMOCR's name of a parameter of the head."""
    renamed = rename_prefix(name, NAMES)
    assert renamed is not None, name
    return f"wrapped_model.{renamed}"


def golden_head() -> MaskRCNNHead:
    weights = tensors("weights")
    network = head(SETTINGS, (8, 16, 32, 64))
    network.load_state_dict({name: weights[mmocr_name(name)] for name in network.state_dict()})
    return network


def levels(requires_grad: bool = False) -> Features:
    """The outputs of the backbone."""
    golden = tensors("forward")
    return Features(tuple(golden[f"level_{index}"].requires_grad_(requires_grad) for index in range(4)))


def sample(image: int) -> Sample:
    """The ground truth of the image, in a black picture of its padded size."""
    golden = arrays("loss")
    rows = zip(golden[f"polygons_{image}"], golden[f"num_points_{image}"], golden[f"ignored_{image}"], strict=True)
    instances = tuple(TextInstance(points[:count], None, bool(ignored)) for points, count, ignored in rows)
    meta = ImageMeta(Path(f"{image}.png"), (HEIGHT, WIDTH), np.eye(3), (HEIGHT, WIDTH))
    return Sample(np.zeros((HEIGHT, WIDTH, 3), np.uint8), instances, meta)
