"""Names in scenetext checkpoints: a pre-training calls its model `network`, a detector its encoder `encoder`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
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
_NOT_IN_WEIGHTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"resnet": ("bottleneck_stride",), "timm": ("model",)}
)
"""Further settings of encoders, by their name, that cannot be inferred from their weights."""


def stored_settings(encoder: str) -> tuple[str, ...]:
    """Settings of the encoder of that name that change what it computes and cannot be inferred from its weights."""
    return (*PIXEL_STATISTICS, *_NOT_IN_WEIGHTS.get(encoder, ()))


def stored_encoder_settings(stored: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Those of `stored_settings` that a scenetext file holds beside its weights; those that are None are skipped.

    Args:
        name: of the encoder.
        stored: `WeightFile.stored`: the settings of a detector's or a pre-training's run, or an encoder's metadata.
    """
    method = stored.get("method")
    run = method if isinstance(method, Mapping) else stored
    encoder = run["encoder"] if isinstance(run.get("encoder"), Mapping) else stored
    if isinstance(encoder.get("attach"), Mapping):  # attached TCM: they are those of the encoder within
        encoder = encoder["attach"]["encoder"]
    known = {key: encoder[key] for key in stored_settings(name) if encoder.get(key) is not None}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in known.items()}
