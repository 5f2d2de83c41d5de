"""Blob: text kernels in one map, the whole of a detector in the fewest lines; the tests add it from outside."""

from __future__ import annotations

from torch import Tensor

from scenetext.contracts import DetectorSpec, Targets
from scenetext.detectors.blob.config import BlobSettings
from scenetext.detectors.blob.decode import decode
from scenetext.detectors.blob.loss import loss
from scenetext.detectors.blob.model import head
from scenetext.detectors.blob.targets import targets


def text_region(targets: Targets) -> tuple[Tensor, Tensor]:
    """The kernels and where they are known, (B, H, W) uint8 each."""
    return targets["kernel"], targets["valid"]


SPEC = DetectorSpec(config=BlobSettings, head=head, targets=targets, loss=loss, decode=decode, text_region=text_region)
