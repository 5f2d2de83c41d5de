"""TextBPN++: Arbitrary Shape Text Detection via Boundary Transformer (Zhang et al., TMM 2023, arXiv:2205.05320).

It is TextBPN with a Transformer for the refinement and further losses.
"""

from __future__ import annotations

from scenetext.contracts import DetectorSpec
from scenetext.detectors.textbpn import STAGES, text_region
from scenetext.detectors.textbpn.decode import decode
from scenetext.detectors.textbpn.loss import loss
from scenetext.detectors.textbpn.targets import targets
from scenetext.detectors.textbpnpp.config import TextBPNPPSettings
from scenetext.detectors.textbpnpp.model import head

SPEC = DetectorSpec(
    config=TextBPNPPSettings,
    head=head,
    targets=targets,
    loss=loss,
    decode=decode,
    text_region=text_region,
    stages=STAGES,
    uses_stem=True,
)
