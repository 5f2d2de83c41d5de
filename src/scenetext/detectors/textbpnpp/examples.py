"""Small settings of TextBPN++; its maps are TextBPN's."""

from __future__ import annotations

from scenetext.detectors.textbpn.examples import EXAMPLES as EXAMPLES
