"""Several views of an image at test time (sizes, mirrored), and one result from the detections in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from scenetext.geometry.suppression import suppress_overlapping
from scenetext.structures import Detection

_MULTIPLE = 32
"""Encoders need sides that are multiples of this."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A batch of images, scaled or mirrored.

    Attributes:
        images: (B, 3, H', W') uint8, on the device of the batch.
        to_input: (3, 3) float64, takes homogeneous pixels of the view to pixels of the batch's images.
    """

    images: Tensor
    to_input: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class ViewMaps:
    """What the head made of a view.

    Attributes:
        maps: named tensors with leading axis B.
        to_input: as in `View`.
    """

    maps: Mapping[str, Tensor]
    to_input: np.ndarray

    def to_host(self) -> ViewMaps:
        """The same in host memory."""
        return ViewMaps({name: value.cpu() for name, value in self.maps.items()}, self.to_input)

    def image(self, index: int) -> ViewMaps:
        """The maps of one image, with a leading axis of 1; not copied."""
        return ViewMaps({name: value[index : index + 1] for name, value in self.maps.items()}, self.to_input)


def make_views(images: Tensor, scales: Sequence[float], flip: bool) -> Iterator[View]:
    """The views of a batch, one after the other, each scale as it is and then mirrored.

    Args:
        images: (B, 3, H, W) uint8, prepared for the largest of the scales.
        scales: above 0, relative to one another.
        flip: whether to add mirrored views.
    """
    for scale in scales:
        view = _resize(images, scale / max(scales))
        yield view
        if flip:
            mirror = np.array([[-1.0, 0.0, view.images.shape[3]], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
            yield View(view.images.flip(3), view.to_input @ mirror)


def merge_detections(found: Sequence[Detection], iou_threshold: float) -> list[Detection]:
    """The detections of several views of one image, the best of those that mean the same text (polygon NMS).

    From the best score down, every detection is kept that overlaps none kept before by more than the threshold. Merged
    are polygons and not maps, because not every detector's maps can be averaged: Fourier coefficients and embeddings of
    a mirrored image are other vectors.

    Args:
        found: in pixels of one frame.
        iou_threshold: in [0, 1].
    """
    found = found[::-1]  # of equal scores, suppression keeps the later one; here that of the earlier view
    scores = np.array([detection.score for detection in found])
    return [found[index] for index in suppress_overlapping([each.polygon for each in found], scores, iou_threshold)]


def _resize(images: Tensor, scale: float) -> View:
    """The images scaled down, averaged where they shrink, and padded with black to sides that encoders accept."""
    if scale == 1:
        return View(images, np.eye(3))
    height, width = (max(1, round(side * scale)) for side in images.shape[2:])
    resized = F.interpolate(images.float(), (height, width), mode="bilinear", antialias=True)
    padded = F.pad(resized.round().clamp(0, 255), (0, -width % _MULTIPLE, 0, -height % _MULTIPLE))
    return View(padded.to(images.dtype), np.diag([images.shape[3] / width, images.shape[2] / height, 1.0]))
