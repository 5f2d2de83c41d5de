"""The image encoder inside weight files of any source: alone, for a detector to start from, or under MMOCR's names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scenetext.config import validate
from scenetext.contracts import Encoder
from scenetext.conversion.files import Conversion, read_source
from scenetext.encoders.resnet import ResNet
from scenetext.errors import CheckpointError
from scenetext.runs.encoders import build_encoder, find_encoder
from scenetext.weights import mmocr, native
from scenetext.weights.files import write_safetensors, write_torch_file
from scenetext.weights.image_encoder import ImageEncoderWeights, extract_image_encoder
from scenetext.weights.report import require_fit
from scenetext.weights.sources import CLIP, MMOCR, Source
from scenetext.weights.timm import fit_pyramid


def convert_backbone(source: Path, target: Path) -> Conversion:
    """The image encoder of any known source, without its attention pool: what detectors start from."""
    return _write_encoder(source, target, _read_encoder(source, target), with_pool=False)


def convert_from_clip(source: Path, target: Path) -> Conversion:
    """The image encoder of an OpenAI or open_clip model, with its attention pool, for `encoder.weights`.

    Raises:
        CheckpointError: the file is of another source, or holds no complete CLIP ResNet.
    """
    return _write_encoder(source, target, _read_encoder(source, target, CLIP), with_pool=True)


def convert_from_mmocr(source: Path, target: Path) -> Conversion:
    """MMOCR's oCLIP backbone, alone or inside a detector's checkpoint, under scenetext's names.

    Raises:
        CheckpointError: the file is of another source, or the backbone is not complete.
    """
    return _write_encoder(source, target, _read_encoder(source, target, MMOCR), with_pool=False)


def convert_to_mmocr(source: Path, target: Path) -> Conversion:
    """The backbone of any known source under MMOCR's names, as a torch file {state_dict}."""
    encoder = _read_encoder(source, target)
    rename = mmocr.BACKBONE_NAMES.get(encoder.settings["name"])
    if rename is None:
        raise CheckpointError(f"{source}: holds {encoder}; MMOCR has no such backbone")
    write_torch_file(target, {"state_dict": {rename(name): value for name, value in encoder.weights.items()}})
    model = _empty_encoder(encoder, source)
    mean, std = ([round(255 * value, 3) for value in values] for values in (model.pixel_mean, model.pixel_std))
    remark = f"expects RGB pixels (0 to 255) with mean {mean} and std {std}"
    if model.pixel_mean != ResNet.pixel_mean:
        remark += ", which are not ImageNet's"
    dropped = (*encoder.dropped, *encoder.pool_names)
    return Conversion(target, str(encoder), len(encoder.weights), dropped, encoder.around, (remark,))


def _read_encoder(source: Path, target: Path, expected: Source | None = None) -> ImageEncoderWeights:
    """The image encoder of a file, complete and of the shapes that its sizes call for."""
    encoder = extract_image_encoder(read_source(source, target, expected))
    model = _empty_encoder(encoder, source)
    if not isinstance(model, nn.Module):
        raise TypeError("an encoder with weights is an nn.Module")
    _, other_levels, _ = fit_pyramid(model.state_dict(), encoder.weights)  # a pre-training has the last one alone
    require_fit(model, encoder.weights, f"{source} ({encoder})", other_levels)
    return encoder


def _empty_encoder(encoder: ImageEncoderWeights, source: Path) -> Encoder:
    """The encoder of these settings, without weights."""
    if encoder.settings["name"] == "timm" and "model" not in encoder.settings:
        raise CheckpointError(
            f"{source}: does not say which model of timm it holds, as scenetext's checkpoints and backbone files do; "
            "name the file in encoder.weights of a run that says encoder.model"
        )
    settings = validate(find_encoder(encoder.settings["name"]).settings, encoder.settings, str(source))
    with torch.device("meta"):
        return build_encoder(settings)


def _write_encoder(source: Path, target: Path, encoder: ImageEncoderWeights, with_pool: bool) -> Conversion:
    settings = {name: _compact(value) for name, value in encoder.settings.items()}
    model = _empty_encoder(encoder, source)
    statistics = {name: _compact(getattr(model, name)) for name in native.PIXEL_STATISTICS}
    metadata = {**settings, **statistics, "source": f"{encoder.source.name}: {source.name}"}
    weights = {**encoder.weights, **encoder.pool} if with_pool else encoder.weights
    write_safetensors(target, weights, metadata)
    dropped = encoder.dropped if with_pool else (*encoder.dropped, *encoder.pool_names)
    overrides = " ".join(f"encoder.{name}={value}" for name, value in settings.items())
    remarks = [f"use it with: {overrides} encoder.weights={target}"]
    if with_pool and encoder.pool:
        output = tuple(encoder.pool["attnpool.c_proj.weight"].shape)
        remarks.append(f"attention pool: output projection {output}; taken by a model of the same, dropped by others")
    return Conversion(target, str(encoder), len(weights), dropped, encoder.around, tuple(remarks))


def _compact(value: Any) -> str:
    """A setting as an override on the command line has it, without spaces."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
