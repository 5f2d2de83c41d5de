"""Image encoders: a batch of images to feature levels. A new one is a file here and a line in `BACKBONES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from scenetext.config import Settings
from scenetext.contracts import Encoder
from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.encoders.resnet import ResNet, ResNetSettings

BACKBONES: Mapping[str, tuple[type[Settings], Callable[[Any], Encoder]]] = MappingProxyType(
    {"clip_resnet": (ClipResNetSettings, ClipResNet), "resnet": (ResNetSettings, ResNet)}
)
"""Settings and class of every encoder here, by name; `encoder_choice` adds those that methods bring."""
