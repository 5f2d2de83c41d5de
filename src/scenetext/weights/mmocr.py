"""Names of MMOCR: its `resnet50-oclip` backbone (CLIPResNet) both ways, and those of whole detectors.

The stem is one sequence, in which the ReLUs take up numbers, and so does the pool in front of a shortcut's convolution.
mmpretrain's ResNetV1d has the same names and shapes but strides elsewhere; a file does not say which it is.
MMDetection's ResNet with a deep stem has no pool in its shortcuts, which identifies it (`weights.torchvision`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

DETECTOR_BACKBONE = "backbone."
"""Prefix of the backbone in the checkpoint of a whole MMOCR detector."""
NO_WEIGHTS = "data_preprocessor."
"""Prefix of names in a detector's checkpoint that are no weights: statistics of pixels, which are settings here."""
_OLD_HEAD, _HEAD = "bbox_head.", "det_head."
"""Prefixes of a detector's head: MMOCR 0.x, and 1.x."""
_STEM: Mapping[str, str] = MappingProxyType(
    {"conv1": "stem.0", "bn1": "stem.1", "conv2": "stem.3", "bn2": "stem.4", "conv3": "stem.6", "bn3": "stem.7"}
)
_SHORTCUT: Mapping[str, str] = MappingProxyType({"downsample.0": "downsample.1", "downsample.1": "downsample.2"})


def to_mmocr_name(name: str) -> str:
    """MMOCR's name of a tensor of `encoders.clip_image.ClipResNet`."""
    part, _, rest = name.partition(".")
    if part in _STEM:
        return f"{_STEM[part]}.{rest}"
    return re.sub(r"downsample\.[01]", lambda match: _SHORTCUT[match[0]], name)


def from_mmocr_name(name: str) -> str | None:
    """Scenetext's name of a tensor of MMOCR's backbone, from a whole detector or alone; None: it is no part of it."""
    name = name.removeprefix(DETECTOR_BACKBONE)
    for own, published in _STEM.items():
        if name.startswith(published + "."):
            return own + name.removeprefix(published)
    shortcut = re.search(r"downsample\.\d+", name)
    if shortcut is None:
        return name if re.match(r"layer[1-4]\.", name) else None
    own_names = {published: own for own, published in _SHORTCUT.items()}
    if shortcut[0] not in own_names:
        return None
    return name.replace(shortcut[0], own_names[shortcut[0]])


BACKBONE_NAMES: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"clip_resnet": to_mmocr_name, "resnet": lambda name: name}
)
"""By the encoder's name in settings, scenetext's name of a tensor to that in MMOCR's backbone; MMDetection's ResNet,
which MMOCR uses, has torchvision's names, and so has scenetext's."""


def current_detector_name(name: str) -> str:
    """The name of MMOCR 1.x for a name out of a detector's checkpoint of 0.x or 1.x; only that of the head changed."""
    return _HEAD + name.removeprefix(_OLD_HEAD) if name.startswith(_OLD_HEAD) else name


def old_detector_name(name: str) -> str:
    """The name of MMOCR 0.x for one of 1.x; undoes `current_detector_name`."""
    return _OLD_HEAD + name.removeprefix(_HEAD) if name.startswith(_HEAD) else name


def rename_prefix(name: str, prefixes: Mapping[str, str]) -> str | None:
    """A name with its prefix replaced, as for a detector's neck or head in MMOCR; None: no prefix fits.

    Args:
        prefixes: old to new, whole parts between dots, as in a detector's `mmocr.py`; the longest that fits counts.
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        new_prefix = prefixes.get(".".join(parts[:length]))
        if new_prefix is not None:
            return ".".join([new_prefix, *parts[length:]])
    return None
