"""Names in scenetext checkpoints: a pre-training calls its model `network`, a detector its encoder `encoder`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRETRAINING = "network."
"""Prefix of all names of an oCLIP model that scenetext trained."""
PRETRAINED_ENCODER = "network.visual."
"""Prefix of its image encoder."""
DETECTOR_ENCODER = "encoder."
"""Prefix of a detector's encoder."""
TCM_IMAGE_ENCODER = "encoder.image."
"""Prefix of the image encoder within a detector's TCM encoder, of either kind."""
PIXEL_STATISTICS = ("pixel_mean", "pixel_std")
"""Settings of every encoder: what the pixels were normalised with."""
STORED_SETTINGS = (*PIXEL_STATISTICS, "bottleneck_stride")
"""Settings of encoders that change what they compute and that cannot be inferred from their weights."""


def stored_encoder_settings(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `STORED_SETTINGS` that a scenetext file holds beside its weights; those that are None are skipped.

    Args:
        stored: `WeightFile.stored`: the settings of a detector's or a pre-training's run, or an encoder's metadata.
    """
    method = stored.get("method")
    run = method if isinstance(method, Mapping) else stored
    encoder = run["encoder"] if isinstance(run.get("encoder"), Mapping) else stored
    if isinstance(encoder.get("attach"), Mapping):  # attached TCM: they are those of the encoder within
        encoder = encoder["attach"]["encoder"]
    known = {name: encoder[name] for name in STORED_SETTINGS if encoder.get(name) is not None}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in known.items()}
