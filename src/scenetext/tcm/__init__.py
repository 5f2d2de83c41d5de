"""TCM: Turning a CLIP Model into a Scene Text Detector (Yu et al., CVPR 2023, arXiv:2302.14338), and FastTCM of its
sequel (arXiv:2408.11408): text that guides an image encoder, which any detector takes as its encoder. `tcm` is CLIP's
image encoder with both, `attached_tcm` adds the text to any encoder."""

from __future__ import annotations

from scenetext.contracts import EncoderSpec
from scenetext.tcm.attached import AttachedTcmEncoder
from scenetext.tcm.config import AttachedTcmSettings, TcmSettings
from scenetext.tcm.encoder import TcmEncoder
from scenetext.tcm.matching import MatchingLoss

_BACKBONE = {"layers": (1, 1, 1, 1), "width": 4}
_GUIDANCE = {
    **{"embed_dim": 16, "text_weights": "none"},
    **{"text": {"width": 8, "heads": 2, "layers": 1}, "decoder": {"width": 8, "heads": 2, "layers": 1}},
}
SPEC = EncoderSpec(
    settings=TcmSettings,
    build=TcmEncoder,
    small={**_BACKBONE, **_GUIDANCE, "pool_heads": 4},
    auxiliary_loss=MatchingLoss,
)
ATTACHED = EncoderSpec(
    settings=AttachedTcmSettings,
    build=AttachedTcmEncoder,
    small={**_GUIDANCE, "attach": {"encoder": {"name": "clip_resnet", **_BACKBONE}}},
    auxiliary_loss=MatchingLoss,
)
