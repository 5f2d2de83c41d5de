"""DBNet++: Real-Time Scene Text Detection with Differentiable Binarization and Adaptive Scale Fusion.

Liao et al., TPAMI 2022, arXiv:2202.10304. It is DBNet with a neck that weighs the levels at every position.
"""

from __future__ import annotations

from scenetext.contracts import DetectorSpec
from scenetext.detectors.dbnet import text_region
from scenetext.detectors.dbnet.decode import decode
from scenetext.detectors.dbnet.loss import loss
from scenetext.detectors.dbnet.targets import targets
from scenetext.detectors.dbnetpp.config import DBNetPPSettings
from scenetext.detectors.dbnetpp.model import head

SPEC = DetectorSpec(
    config=DBNetPPSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
    training_maps=("threshold",),
)
