"""The encoder that a run names: a plain backbone, or TCM, which is an encoder with a loss of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from scenetext.config import Settings
from scenetext.contracts import AuxiliaryLoss, Encoder
from scenetext.encoders import BACKBONES
from scenetext.errors import ConfigError, did_you_mean
from scenetext.tcm.config import TcmSettings
from scenetext.tcm.encoder import TcmEncoder
from scenetext.tcm.matching import MatchingLoss

ENCODERS: Mapping[str, tuple[type[Settings], Callable[[Any], Encoder]]] = MappingProxyType(
    {**BACKBONES, "tcm": (TcmSettings, TcmEncoder)}
)
"""Settings and class of every encoder, by name."""


def encoder_settings(name: str) -> type[Settings]:
    """The settings type of an encoder.

    Raises:
        ConfigError: no encoder has that name; the known ones are listed.
    """
    if name not in ENCODERS:
        suggestion = did_you_mean(name, ENCODERS)
        raise ConfigError(f"encoder {name!r} is unknown{suggestion} Known encoders: {', '.join(sorted(ENCODERS))}")
    return ENCODERS[name][0]


def build_encoder(settings: Any) -> Encoder:
    """The encoder that these settings (of a type from `encoder_settings`) describe, with random weights."""
    return ENCODERS[settings.name][1](settings)


def auxiliary_loss(settings: Any) -> AuxiliaryLoss | None:
    """The loss that the encoder of these settings adds to a detector's; None for a plain backbone."""
    return MatchingLoss(settings) if isinstance(settings, TcmSettings) else None
