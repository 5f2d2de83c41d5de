"""The image encoder inside any weight file of a known source, and loading it into an encoder of ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scenetext.errors import CheckpointError
from scenetext.layers.positions import resize_positions
from scenetext.weights.files import WeightFile
from scenetext.weights.report import count_groups, load_weights
from scenetext.weights.sources import Source, identify_source

POOL = "attnpool."
"""In front of the names of the attention pool."""
_POSITIONS = "attnpool.positional_embedding"
_POOL_OUTPUT = "attnpool.c_proj.weight"
_STAGES = ("layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True, eq=False)
class ImageEncoderWeights:
    """A CLIP ResNet out of a weight file.

    Attributes:
        source: what the file was recognised as.
        weights: tensors under the names of `encoders.clip_image.ClipResNet`; half precision became float32.
        pool: those of its attention pool, `attnpool.*`; empty where the file has none.
        pool_names: what the file calls them.
        layers: blocks of the four stages.
        width: channels of the stem's output.
        left_out: names of the file that are part of neither, and entries that are no weights.
    """

    source: Source
    weights: dict[str, Tensor]
    pool: dict[str, Tensor]
    pool_names: tuple[str, ...]
    layers: tuple[int, ...]
    width: int
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        return f"CLIP ResNet of layers {list(self.layers)} and width {self.width}, from {self.source.name}"


def extract_image_encoder(file: WeightFile) -> ImageEncoderWeights:
    """Takes the image encoder out of weights of any known source.

    Raises:
        CheckpointError: the source is unknown or ambiguous, or there is no ResNet of four stages.
    """
    try:
        source = identify_source(file.tensors)
        found: dict[str, Tensor] = {}
        left_out, pool_names = list(file.others), []
        for name, value in file.tensors.items():
            ours = source.encoder_name(name)
            if ours is None:
                left_out.append(name)
            elif ours in found:
                raise CheckpointError(f"holds {ours} of the image encoder twice, the second time as {name}")
            else:
                found[ours] = value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
                pool_names += [name] if ours.startswith(POOL) else []
        weights = {name: value for name, value in found.items() if not name.startswith(POOL)}
        layers, width = resnet_sizes(weights)
    except CheckpointError as error:
        raise CheckpointError(f"{file.path}: {error}") from None
    pool = {name: value for name, value in found.items() if name.startswith(POOL)}
    return ImageEncoderWeights(source, weights, pool, tuple(pool_names), layers, width, tuple(left_out))


def resnet_sizes(weights: Mapping[str, Tensor]) -> tuple[tuple[int, ...], int]:
    """Blocks of the four stages and the width of a CLIP ResNet, from its weights.

    Raises:
        CheckpointError: a stage has no block, or the stem has no such shape.
    """
    layers = tuple(len({name.split(".")[1] for name in weights if name.startswith(stage + ".")}) for stage in _STAGES)
    stem = weights.get("conv3.weight")
    if 0 in layers or stem is None or stem.ndim != 4 or stem.shape[0] < 2 or stem.shape[0] % 2:
        raise CheckpointError("there is an image encoder, but no ResNet with CLIP's stem and four stages")
    return layers, int(stem.shape[0])


def load_image_encoder(encoder: nn.Module, file: WeightFile) -> list[str]:
    """Loads the image encoder of a weight file of any known source into ours.

    The attention pool is loaded where both have one of the same output width; its positions are resized to the
    encoder's grid (bilinear, as TCM does).

    Args:
        encoder: an `encoders.clip_image.ClipResNet` or `PooledClipResNet`.

    Returns:
        What was recognised, loaded and left out, a line each.

    Raises:
        CheckpointError: the source is unknown, or anything but the pool does not fit; the message lists it.
    """
    found = extract_image_encoder(file)
    pool, remark = _fit_pool(encoder, found.pool)
    optional = () if pool else (POOL,)
    report = load_weights(encoder, {**found.weights, **pool}, f"{file.path} ({found})", optional)
    left_out = found.left_out if pool else (*found.left_out, *found.pool_names)
    return [f"encoder weights: {file.path}: {found}; {report}", remark, f"left out: {count_groups(left_out)}"]


def _fit_pool(encoder: nn.Module, pool: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The attention pool as the encoder can take it (empty: it cannot), and a remark that says so."""
    own = encoder.state_dict()
    if _POOL_OUTPUT not in own:
        return {}, "attention pool: none in this encoder"
    if _POOL_OUTPUT not in pool or _POSITIONS not in pool:
        return {}, "attention pool: none in the file, random instead"
    theirs, ours = tuple(pool[_POOL_OUTPUT].shape), tuple(own[_POOL_OUTPUT].shape)
    if theirs != ours:
        return {}, f"attention pool: left out, its output projection is {theirs}, the model's {ours}; random instead"
    positions, wanted = pool[_POSITIONS], own[_POSITIONS]
    before, side = math.isqrt(max(len(positions) - 1, 0)), math.isqrt(len(wanted) - 1)
    if before == side or positions.shape != (before**2 + 1, wanted.shape[1]):
        return dict(pool), "attention pool: loaded"  # or refused with all that does not fit, when it is loaded
    resized = torch.cat([positions[:1], resize_positions(positions[1:], side, side)])
    remark = f"attention pool: loaded, positions resized from {before} x {before} to {side} x {side}"
    return {**pool, _POSITIONS: resized}, remark
