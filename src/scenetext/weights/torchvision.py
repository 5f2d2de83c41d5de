"""ResNets of torchvision, whose names MMDetection and scenetext share, and ImageNet's weights from torch's cache.

A deep stem is one sequence under MMDetection's name, `stem`, in scenetext's too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scenetext.errors import CheckpointError
from scenetext.weights.files import WeightFile, read_weights

CLASSIFIER = "fc."
"""Prefix of ImageNet's classifier, which is no part of an encoder."""
OFFSETS = ".conv_offset."
"""Part of the names of what only deformable convolutions have."""
DEEP_STEM = "stem."
"""Prefix of a deep stem."""
STEM_AND_READERS = ("conv1.", "bn1.", DEEP_STEM, "layer1.0.conv1.", "layer1.0.downsample.")
"""Prefixes of stems, plain and deep, and of the layers that read them: what differs between the two."""
_OFFSETS_OF_STAGE = re.compile(r"layer([1-4])\.\d+\.conv2\.conv_offset\.weight")
_OFFSETS_OF_GROUP = 27
"""Two shifts and a weight for each of the 3x3 taps."""
_STAGES = ("layer1", "layer2", "layer3", "layer4")
_DEPTHS: Mapping[tuple[tuple[int, ...], bool], int] = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
}
"""Blocks of the four stages, and whether they are bottlenecks, to the depth in the model's name."""


def is_torchvision_resnet(weights: Mapping[str, Tensor], prefix: str) -> bool:
    """Whether torchvision's ResNet is there under a prefix, with a plain or a deep stem.

    CLIP's has a third convolution in its stem; MMOCR's CLIP has a sequence for a stem, too, but a pool in front of the
    convolution of a shortcut.
    """
    if f"{prefix}layer1.0.conv1.weight" not in weights:
        return False
    if f"{prefix}conv1.weight" in weights:
        return f"{prefix}conv3.weight" not in weights
    return has_deep_stem(weights, prefix)


def has_deep_stem(weights: Mapping[str, Tensor], prefix: str = "") -> bool:
    """Whether there is a ResNet with a deep stem and without pools in its shortcuts under a prefix."""
    return {f"{prefix}{DEEP_STEM}0.weight", f"{prefix}layer1.0.downsample.0.weight"} <= weights.keys()


def resnet_settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Settings of `encoders.resnet` that the weights of a ResNet imply; `bottleneck_stride` is not among them.

    Raises:
        CheckpointError: no ResNet of torchvision has these blocks, or its deformable convolutions are not of one kind.
    """
    layers = tuple(len({name.split(".")[1] for name in weights if name.startswith(stage + ".")}) for stage in _STAGES)
    bottlenecks = "layer1.0.conv3.weight" in weights
    if (layers, bottlenecks) not in _DEPTHS:
        kind = "bottlenecks" if bottlenecks else "blocks of two convolutions"
        raise CheckpointError(f"there is a ResNet with {list(layers)} {kind}, which torchvision has none of")
    settings: dict[str, Any] = {"name": "resnet", "depth": _DEPTHS[layers, bottlenecks]}
    if has_deep_stem(weights):
        settings["stem"] = "deep"
    offsets = {name: match for name in weights if (match := _OFFSETS_OF_STAGE.fullmatch(name))}
    if offsets:
        rows = {weights[name].shape[:1].numel() for name in offsets}
        if len(rows) > 1 or min(rows) % _OFFSETS_OF_GROUP or not min(rows):
            raise CheckpointError(
                f"its deformable convolutions have {sorted(rows)} offsets, not as many for each group"
            )
        settings["deformable_stages"] = tuple(sorted({int(match[1]) for match in offsets.values()}))
        settings["deformable_groups"] = min(rows) // _OFFSETS_OF_GROUP
    return settings


def imagenet_weights(depth: int) -> WeightFile:
    """ImageNet's weights of a ResNet as first published, the ones that detectors start from; downloaded once.

    They lie where torch keeps such files: `hub/checkpoints` in the folder that TORCH_HOME names, or in ~/.cache/torch.

    Raises:
        CheckpointError: they are not there yet and cannot be downloaded, or what is there is damaged.
    """
    from torchvision.models import get_model_weights

    published = get_model_weights(f"resnet{depth}").IMAGENET1K_V1
    path = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rpartition("/")[2]
    if not path.exists():
        try:
            published.get_state_dict(progress=True, check_hash=True, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f"{path}: ImageNet's weights of ResNet-{depth} cannot be downloaded ({error}). Without a network, put "
                f"torchvision's {path.name} there, or name it where it lies: encoder.weights=FOLDER/{path.name}"
            ) from None
    return read_weights(path)
