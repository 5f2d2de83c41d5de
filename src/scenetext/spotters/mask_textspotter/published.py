"""Names of Mask TextSpotter in checkpoints of its published code, for weights that users have.

These weights are under CC BY-NC 4.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

AUTHORS = "Mask TextSpotter v3's authors"
LICENCE = (
    "licence: the published weights of Mask TextSpotter v3 are under CC BY-NC 4.0, for non-commercial use alone; so is "
    "what is made of them"
)
_MASK = "roi_heads.mask.predictor"
_READER = f"{_MASK}.seq"
_BOX = "roi_heads.box"
NAMES: Mapping[str, str] = MappingProxyType(
    {
        **{f"pyramid.lateral.{level}": f"backbone.fpn.fpn_inner{level + 1}" for level in range(4)},
        **{f"pyramid.smooth.{level}": f"backbone.fpn.fpn_layer{level + 1}" for level in range(4)},
        "proposals.fuse.0": "proposal.head.fpn_out2",
        **{f"proposals.fuse.{level}": f"proposal.head.fpn_out{level + 2}.0" for level in (1, 2, 3)},
        "proposals.predict.0": "proposal.head.seg_out.0.0",
        "proposals.predict.1": "proposal.head.seg_out.0.1",
        "proposals.predict.3": "proposal.head.seg_out.1",
        "proposals.predict.4": "proposal.head.seg_out.2",
        "proposals.predict.6": "proposal.head.seg_out.4",
        "later.boxes.hidden.0": f"{_BOX}.feature_extractor.fc6",
        "later.boxes.hidden.1": f"{_BOX}.feature_extractor.fc7",
        "later.boxes.classes": f"{_BOX}.predictor.cls_score",
        "later.boxes.offset": f"{_BOX}.predictor.bbox_pred",
        **{
            f"later.masks.convolutions.{index}": f"roi_heads.mask.feature_extractor.mask_fcn{index + 1}"
            for index in range(4)
        },
        "later.masks.upsample": f"{_MASK}.conv5_mask",
        "later.masks.logits": f"{_MASK}.mask_fcn_logits",
        "later.masks.characters": f"{_MASK}.char_mask_fcn_logits",
        "later.masks.reader.encoder": f"{_READER}.seq_encoder.0",
        "later.masks.reader.columns": f"{_READER}.x_onehot.weight",
        "later.masks.reader.rows": f"{_READER}.y_onehot.weight",
        "later.masks.reader.codes": f"{_READER}.seq_decoder.embedding.weight",
        "later.masks.reader.word": f"{_READER}.seq_decoder.word_linear",
        "later.masks.reader.attention": f"{_READER}.seq_decoder.attn.attn",
        "later.masks.reader.score": f"{_READER}.seq_decoder.attn.v",
        "later.masks.reader.cell": f"{_READER}.seq_decoder.rnn",
        "later.masks.reader.classes": f"{_READER}.seq_decoder.out",
    }
)
"""Prefixes of parameter names of the heads, scenetext's to the published ones."""
OFFSETS = "later.boxes.offset"
"""The layer that has four outputs for the background in front of those for text there, which are never used."""
