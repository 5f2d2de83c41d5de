"""Names in our own checkpoints: a pre-training calls its model `network`, a detector its encoder `encoder`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRETRAINING = "network."
"""In front of every name of an oCLIP model that we trained."""
PRETRAINED_ENCODER = "network.visual."
"""In front of the names of its image encoder."""
DETECTOR_ENCODER = "encoder."
"""In front of the names of a detector's encoder."""
TCM_IMAGE_ENCODER = "encoder.image."
"""In front of those of the image encoder within a detector's TCM encoder."""
PIXEL_STATISTICS = ("pixel_mean", "pixel_std")
"""Settings of every encoder: what the pixels were normalised with."""
UNTOLD_SETTINGS = (*PIXEL_STATISTICS, "bottleneck_stride")
"""Settings of encoders that change what they compute and that their weights do not tell."""


def stored_encoder_settings(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `UNTOLD_SETTINGS` that a file of ours tells beside its weights; None, the encoder's own, is left out.

    Args:
        stored: `WeightFile.stored`: the settings of a detector's or a pre-training's run, or an encoder's metadata.
    """
    method = stored.get("method")
    run = method if isinstance(method, Mapping) else stored
    encoder = run["encoder"] if isinstance(run.get("encoder"), Mapping) else stored
    told = {name: encoder[name] for name in UNTOLD_SETTINGS if encoder.get(name) is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
