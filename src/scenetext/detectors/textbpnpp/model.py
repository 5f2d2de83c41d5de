"""Neck and head of TextBPN++: TextBPN's, with a Transformer in each refinement."""

from __future__ import annotations

from collections.abc import Sequence

from scenetext.detectors.textbpn.model import BoundaryHead
from scenetext.detectors.textbpnpp.config import TextBPNPPSettings
from scenetext.detectors.textbpnpp.transformer import TransformerStep

BORDER = 0
"""Pixels that points stay away from the border of the image."""


def head(config: TextBPNPPSettings, channels: Sequence[int]) -> BoundaryHead:
    """Neck, maps and refinement for an encoder with these channels; see `BoundaryHead`."""
    over_proposals = config.attention == "proposals"
    return BoundaryHead(config, channels, lambda: TransformerStep(config.dropout, over_proposals), BORDER)
