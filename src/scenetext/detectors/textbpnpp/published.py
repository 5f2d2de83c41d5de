"""TextBPN++ in its authors' checkpoints: names, and settings in which the defaults differ from what these compute."""

from __future__ import annotations

from scenetext.detectors.textbpn.published import AUTHORS, head_names
from scenetext.detectors.textbpnpp.transformer import BLOCKS

__all__ = ["AUTHORS", "NAMES", "SETTINGS"]

_STEP = {
    "norm": "bn0",
    "embed": "transformer.linear",
    **{
        f"blocks.{number}.{own}": f"transformer.{published.format(number)}"
        for number in range(BLOCKS)
        for own, published in (
            ("norm_attention", "MHA_self_{}.layer_norm"),
            ("query", "MHA_self_{}.Q_proj.0"),
            ("key", "MHA_self_{}.K_proj.0"),
            ("value", "MHA_self_{}.V_proj.0"),
            ("attention", "MHA_self_{}.MultiheadAttention"),
            ("norm_mlp", "FFN_{}.layer_norm"),
            ("expand", "FFN_{}.fc1.0"),
            ("contract", "FFN_{}.fc2"),
        )
    },
    "alone": "conv1",
    "predict": "prediction",
}
NAMES = head_names(_STEP)
"""Prefixes of parameter names of the head, scenetext's to the authors'."""
SETTINGS = ("detector.attention=proposals",)
"""What their models were trained with."""
