"""Names of DBNet++ in checkpoints of MMOCR 1.x."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from scenetext.detectors.dbnet.mmocr import NAMES as DBNET_NAMES

NAMES: Mapping[str, str] = MappingProxyType(
    {
        **DBNET_NAMES,
        "pyramid.mix": "neck.asf_conv.conv",
        "pyramid.attention.channel_reduce": "neck.asf_attn.channel_wise.0.conv",
        "pyramid.attention.channel_restore": "neck.asf_attn.channel_wise.1.conv",
        "pyramid.attention.spatial_filter": "neck.asf_attn.spatial_wise.0.conv",
        "pyramid.attention.spatial_scale": "neck.asf_attn.spatial_wise.1.conv",
        "pyramid.attention.level_weights": "neck.asf_attn.attention_wise.conv",
    }
)
"""Prefixes of parameter names of the head, scenetext's to MMOCR's."""
