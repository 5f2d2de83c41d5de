"""Small settings of DBNet++; its maps are DBNet's."""

from __future__ import annotations

from scenetext.detectors.dbnet.examples import EXAMPLES as EXAMPLES
