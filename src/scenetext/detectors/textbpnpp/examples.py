"""Small settings of TextBPN++; its maps are TextBPN's."""

from __future__ import annotations

from dataclasses import replace

from scenetext.detectors.textbpn.examples import EXAMPLES as BOUNDARY_EXAMPLES

# Without dropout, and with the loss of few pixels, twenty steps get further than rounding makes them differ.
EXAMPLES = replace(BOUNDARY_EXAMPLES, small={"text_loss": "balanced", "dropout": 0.0})
