"""Settings of DBNet++: DBNet's; defaults are the published ones."""

from __future__ import annotations

from typing import Literal

from scenetext.detectors.dbnet.config import BinarizationSettings


class DBNetPPSettings(BinarizationSettings):
    """DBNet++: differentiable binarization and adaptive scale fusion (TPAMI 2022)."""

    name: Literal["dbnetpp"] = "dbnetpp"
    """Chooses this detector."""
