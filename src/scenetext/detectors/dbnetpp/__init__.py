"""DBNet++: Real-Time Scene Text Detection with Differentiable Binarization and Adaptive Scale Fusion.

Liao et al., TPAMI 2022, arXiv:2202.10304. It is DBNet with a neck that weighs the levels at every place.
"""

from __future__ import annotations

from scenetext.contracts import DetectorSpec
from scenetext.detectors.dbnet import MMOCR_NAMES as DBNET_MMOCR_NAMES
from scenetext.detectors.dbnet import text_region
from scenetext.detectors.dbnet.decode import decode
from scenetext.detectors.dbnet.loss import loss
from scenetext.detectors.dbnet.targets import targets
from scenetext.detectors.dbnetpp.config import DBNetPPSettings
from scenetext.detectors.dbnetpp.model import head

MMOCR_NAMES = {
    **DBNET_MMOCR_NAMES,
    "pyramid.mix": "neck.asf_conv.conv",
    "pyramid.attention.channel_reduce": "neck.asf_attn.channel_wise.0.conv",
    "pyramid.attention.channel_restore": "neck.asf_attn.channel_wise.1.conv",
    "pyramid.attention.spatial_filter": "neck.asf_attn.spatial_wise.0.conv",
    "pyramid.attention.spatial_scale": "neck.asf_attn.spatial_wise.1.conv",
    "pyramid.attention.level_weights": "neck.asf_attn.attention_wise.conv",
}
"""Beginnings of parameter names, ours to MMOCR's."""

SPEC = DetectorSpec(
    config=DBNetPPSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
    mmocr_names=MMOCR_NAMES,
)
