"""TCM: Turning a CLIP Model into a Scene Text Detector (Yu et al., CVPR 2023, arXiv:2302.14338), and FastTCM of its
sequel (arXiv:2408.11408): a module around CLIP's encoders that any detector takes as its encoder."""

from __future__ import annotations

from scenetext.contracts import EncoderSpec
from scenetext.tcm.config import TcmSettings
from scenetext.tcm.encoder import TcmEncoder
from scenetext.tcm.matching import MatchingLoss

SPEC = EncoderSpec(
    settings=TcmSettings,
    build=TcmEncoder,
    small={
        **{"layers": (1, 1, 1, 1), "width": 4, "pool_heads": 4, "embed_dim": 16, "text_weights": "none"},
        **{"text": {"width": 8, "heads": 2, "layers": 1}, "decoder": {"width": 8, "heads": 2, "layers": 1}},
    },
    auxiliary_loss=MatchingLoss,
)
