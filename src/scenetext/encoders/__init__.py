"""Image encoders: a batch of images to feature levels. A new one is a file here and a line in `ENCODERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from scenetext.config import Settings
from scenetext.contracts import Encoder
from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.encoders.resnet import ResNet, ResNetSettings
from scenetext.errors import ConfigError, did_you_mean

ENCODERS: Mapping[str, tuple[type[Settings], Callable[[Any], Encoder]]] = MappingProxyType(
    {"clip_resnet": (ClipResNetSettings, ClipResNet), "resnet": (ResNetSettings, ResNet)}
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
