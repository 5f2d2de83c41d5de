"""The encoder that a run names: a plain backbone, or a method that is an encoder, such as TCM."""

from __future__ import annotations

from typing import Any

from scenetext import tcm
from scenetext.contracts import AuxiliaryLoss, Encoder, EncoderSpec
from scenetext.encoders import backbones
from scenetext.errors import ConfigError, did_you_mean

METHODS = (tcm.SPEC, tcm.ATTACHED)
"""Encoders that are methods with a folder of their own."""


def encoder_names() -> tuple[str, ...]:
    """All encoders, in alphabetical order."""
    return tuple(sorted(_encoders()))


def find_encoder(name: str) -> EncoderSpec:
    """The encoder of that name.

    Raises:
        ConfigError: there is none; the message lists those there are and suggests the nearest.
    """
    known = _encoders()
    if name not in known:
        suggestion = did_you_mean(name, known)
        raise ConfigError(f"encoder {name!r} is unknown{suggestion} Known encoders: {', '.join(sorted(known))}")
    return known[name]


def build_encoder(settings: Any) -> Encoder:
    """The encoder that these settings (of a type from `find_encoder`) describe, with random weights."""
    return find_encoder(settings.name).build(settings)


def auxiliary_loss(settings: Any) -> AuxiliaryLoss | None:
    """The loss that the encoder of these settings adds to a detector's; None for a plain backbone."""
    make = find_encoder(settings.name).auxiliary_loss
    return None if make is None else make(settings)


def _encoders() -> dict[str, EncoderSpec]:
    return backbones() | {spec.name: spec for spec in METHODS}
