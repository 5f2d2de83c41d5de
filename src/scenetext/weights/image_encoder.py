"""The image encoder inside any weight file of a known source, and loading it into a scenetext encoder."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scenetext.errors import CheckpointError
from scenetext.layers.transformer import resize_positions
from scenetext.weights.files import WeightFile
from scenetext.weights.native import stored_encoder_settings, stored_settings
from scenetext.weights.report import count_groups, load_weights
from scenetext.weights.sources import Source, identify_source, without_parents
from scenetext.weights.timm import ENCODER as TIMM
from scenetext.weights.timm import fit_pyramid
from scenetext.weights.torchvision import OFFSETS, STEM_AND_READERS, has_deep_stem

POOL = "attnpool."
"""Prefix of the names of the attention pool."""
_POSITIONS = "attnpool.positional_embedding"
_POOL_OUTPUT = "attnpool.c_proj.weight"
FIRST_CONVOLUTION = "conv1.weight"
"""What reads the image in ResNets with a plain stem."""
_STEM = "conv3.weight"
"""The third convolution of a stem: CLIP's ResNets have it, torchvision's have not."""


@dataclass(frozen=True, eq=False)
class ImageEncoderWeights:
    """An image encoder out of a weight file.

    Attributes:
        source: what the file was recognised as.
        weights: tensors under the names of scenetext's encoder; half precision became float32.
        pool: those of its attention pool, `attnpool.*`; empty where the file has none.
        pool_names: what the file calls them.
        settings: those of the encoder, as far as they can be inferred from its weights and metadata; `name` first.
        dropped: names of the file that are part of neither, and entries that are no weights.
        around: what lay around the weights and was removed: `WeightFile.remarks`.
    """

    source: Source
    weights: dict[str, Tensor]
    pool: dict[str, Tensor]
    pool_names: tuple[str, ...]
    settings: dict[str, Any]
    dropped: tuple[str, ...]
    around: tuple[str, ...] = ()

    def __str__(self) -> str:
        sizes = ", ".join(f"{name} {_shown(value)}" for name, value in self.settings.items() if name != "name")
        return f"{self.settings['name']} of {sizes}, from {self.source.name}"


def extract_image_encoder(file: WeightFile) -> ImageEncoderWeights:
    """Takes the image encoder out of weights of any known source.

    Raises:
        CheckpointError: the source is unknown or ambiguous, or it holds no encoder that scenetext has.
    """
    file = without_parents(file)
    try:
        source = identify_source(file.tensors)
        found: dict[str, Tensor] = {}
        dropped, pool_names = list(file.others), []
        for name, value in file.tensors.items():
            own_name = source.encoder_name(name)
            if own_name is None:
                dropped.append(name)
            elif own_name in found:
                raise CheckpointError(f"holds {own_name} of the image encoder twice, the second time as {name}")
            else:
                found[own_name] = value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
                pool_names += [name] if own_name.startswith(POOL) else []
        weights = {name: value for name, value in found.items() if not name.startswith(POOL)}
        if source.reads_bgr:
            weights[FIRST_CONVOLUTION] = weights[FIRST_CONVOLUTION].flip(1)
        settings = source.encoder_settings(weights)
        settings |= stored_encoder_settings(file.stored, settings["name"])
    except CheckpointError as error:
        raise CheckpointError(f"{file.path}: {error}") from None
    pool = {name: value for name, value in found.items() if name.startswith(POOL)}
    return ImageEncoderWeights(source, weights, pool, tuple(pool_names), settings, tuple(dropped), tuple(file.remarks))


def load_image_encoder(encoder: nn.Module, file: WeightFile, used_elsewhere: Collection[str] = ()) -> list[str]:
    """Loads the image encoder of a weight file of any known source into an encoder.

    The attention pool is loaded where both have one of the same output width; its positions are resized to the
    encoder's grid (bilinear, as TCM does). Deformable convolutions take over ordinary ones where the file has no other,
    and a deep stem stays at random where the file has a plain one.

    Args:
        encoder: one of those in `encoders`, with or without an attention pool.
        used_elsewhere: names of the file that another part of the model takes; not reported as dropped.

    Returns:
        What was recognised, loaded and dropped, a line each.

    Raises:
        CheckpointError: the source is unknown, or anything else does not fit; the message lists it.
    """
    file = without_parents(file)
    found = extract_image_encoder(file)
    own = encoder.state_dict()
    if _architecture(own) != _architecture(found.weights):
        raise CheckpointError(
            f"{file.path} ({found}) is of another architecture than the run's encoder; "
            f"set encoder.name={found.settings['name']}, or choose other weights"
        )
    pool, remark = fit_pool(own, found.pool)
    optional: tuple[str, ...] = () if pool else (POOL,)
    remarks = [*file.remarks, *([] if remark is None else [remark])]
    if found.source.reads_bgr:
        remarks.append("first convolution: it read blue, green, red in the file, and was turned to red, green, blue")
    if not any(OFFSETS in name for name in found.weights):
        offsets = tuple(name for name in own if OFFSETS in name)
        optional += offsets
        remarks += ["deformable convolutions: ordinary ones in the file, offsets start at zero"] if offsets else []
    weights, new_levels, level_remarks = fit_pyramid(own, found.weights)
    optional += new_levels
    remarks += level_remarks
    if has_deep_stem(own) and not has_deep_stem(weights):
        weights = {name: value for name, value in weights.items() if not name.startswith(STEM_AND_READERS)}
        optional += STEM_AND_READERS
        remarks.append("deep stem: a plain one in the file; the stem and the layers that read it stay random")
    remarks += _differing_settings(encoder, found.settings)
    report = load_weights(encoder, {**weights, **pool}, f"{file.path} ({found})", optional)
    dropped = found.dropped if pool else (*found.dropped, *found.pool_names)
    dropped = tuple(name for name in dropped if name not in used_elsewhere)
    return [f"encoder weights: {file.path}: {found}; {report}", *remarks, f"dropped: {count_groups(dropped)}"]


def _architecture(names: Collection[str]) -> str:
    """Which of the three kinds of encoders has these names: those of CLIP, of timm, or torchvision."""
    if any(name.startswith(TIMM) for name in names):
        return "timm"
    return "clip_resnet" if _STEM in names else "resnet"


def _differing_settings(encoder: nn.Module, settings: Mapping[str, Any]) -> list[str]:
    """A warning for each setting that weights do not show and that differs between their training and the encoder."""
    own = {name: getattr(encoder, name, getattr(encoder.settings, name, None)) for name in settings}
    return [
        f"warning: these weights were trained with encoder.{name}={_shown(settings[name])}; this run has "
        f"{_shown(own[name])}"
        for name in stored_settings(settings["name"])
        if name in settings and settings[name] != own[name]
    ]


def fit_pool(own: Mapping[str, Tensor], pool: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str | None]:
    """The attention pool as an encoder of these weights can take it (empty: it cannot), and a remark on it."""
    if _POOL_OUTPUT not in own:
        return {}, "attention pool: dropped, this encoder has none" if pool else None
    if _POOL_OUTPUT not in pool or _POSITIONS not in pool:
        return {}, "attention pool: none in the file, random instead"
    shape, expected = tuple(pool[_POOL_OUTPUT].shape), tuple(own[_POOL_OUTPUT].shape)
    if shape != expected:
        return {}, f"attention pool: dropped, its output projection is {shape}, the model's {expected}; random instead"
    positions, wanted = pool[_POSITIONS], own[_POSITIONS]
    before, side = math.isqrt(max(len(positions) - 1, 0)), math.isqrt(len(wanted) - 1)
    if before == side or positions.shape != (before**2 + 1, wanted.shape[1]):
        return dict(pool), "attention pool: loaded"  # or refused with all that does not fit, when it is loaded
    resized = torch.cat([positions[:1], resize_positions(positions[1:], side, side)])
    remark = f"attention pool: loaded, positions resized from {before} x {before} to {side} x {side}"
    return {**pool, _POSITIONS: resized}, remark


def _shown(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)
