"""Weight files of others to ours and back: each conversion reads one file, writes one, and tells what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scenetext.config import validate
from scenetext.contracts import Encoder
from scenetext.encoders.resnet import ResNet
from scenetext.errors import CheckpointError
from scenetext.pretraining.oclip.model import OclipModel
from scenetext.runs.build import build_characters, describe_run
from scenetext.runs.encoders import build_encoder, find_encoder
from scenetext.runs.load import PUBLISHED_METHOD
from scenetext.runs.settings import PretrainingRun
from scenetext.tasks.pretraining import vocabulary_size
from scenetext.training.checkpoint import save_checkpoint, versions
from scenetext.weights import mmocr, native
from scenetext.weights.files import WeightFile, read_weights, write_safetensors, write_torch_file
from scenetext.weights.image_encoder import ImageEncoderWeights, extract_image_encoder
from scenetext.weights.oclip import oclip_sizes, published_checkpoint
from scenetext.weights.report import count_groups, require_fit
from scenetext.weights.sources import CLIP, MMOCR, OCLIP, OUR_PRETRAINING, Source, identify_source

PUBLISHED_BEHAVIOUR = tuple(f"method.{name}={str(value).lower()}" for name, value in PUBLISHED_METHOD.items())
"""Settings in which our defaults differ from what published oCLIP models compute, as overrides of a run."""


@dataclass(frozen=True)
class Conversion:
    """What became of a weight file.

    Attributes:
        written: the new file.
        found: what the old one was recognised as.
        mapped: number of tensors in the new one.
        left_out: names that are in the old one alone.
        remarks: what to know when the new one is used.
    """

    written: Path
    found: str
    mapped: int
    left_out: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [self.found, f"mapped: {self.mapped} tensors", f"left out: {count_groups(self.left_out)}"]
        return "\n".join([*lines, f"written: {self.written}", *self.remarks])


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
    """MMOCR's oCLIP backbone, alone or inside a detector's checkpoint, under our names.

    Raises:
        CheckpointError: the file is of another source, or the backbone is not complete.
    """
    return _write_encoder(source, target, _read_encoder(source, target, MMOCR), with_pool=False)


def convert_to_mmocr(source: Path, target: Path) -> Conversion:
    """The backbone of any known source under MMOCR's names, as a torch file {state_dict}."""
    encoder = _read_encoder(source, target)
    rename = mmocr.BACKBONE_NAMES[encoder.settings["name"]]
    write_torch_file(target, {"state_dict": {rename(name): value for name, value in encoder.weights.items()}})
    model = _empty_encoder(encoder, source)
    mean, std = ([round(255 * value, 3) for value in values] for values in (model.pixel_mean, model.pixel_std))
    remark = f"expects RGB pixels (0 to 255) with mean {mean} and std {std}"
    if model.pixel_mean != ResNet.pixel_mean:
        remark += ", which are not ImageNet's"
    return Conversion(target, str(encoder), len(encoder.weights), (*encoder.left_out, *encoder.pool_names), (remark,))


def convert_from_oclip(source: Path, target: Path, run: PretrainingRun) -> Conversion:
    """A published oCLIP checkpoint as a checkpoint of native, for every tool that takes a pre-training's best.pt.

    Args:
        run: the run that the checkpoint is to be of: sizes, dictionary, transform. `PUBLISHED_BEHAVIOUR` is what it
            should set for the published numbers.

    Raises:
        CheckpointError: the file is of another source, or does not fit the run; what differs is listed.
    """
    file = read_source(source, target, OCLIP)
    weights = published_oclip_weights(file, run)
    content = {
        **describe_run(run),
        "model": {native.PRETRAINING + name: value for name, value in weights.items()},
        "step": 0,
        "versions": versions(),
    }
    save_checkpoint(target, content)
    remark = f"dictionary: {run.method.characters or 'printable ASCII'}"
    return Conversion(target, OCLIP.name, len(weights), file.others, (remark,))


def convert_to_oclip(source: Path, target: Path) -> Conversion:
    """A pre-training of ours in the published layout: {epoch, name, state_dict}, every name behind "module.".

    Raises:
        CheckpointError: the file is no pre-training of native.
    """
    file = read_source(source, target, OUR_PRETRAINING)
    inside = {name for name in file.tensors if name.startswith(native.PRETRAINING)}
    weights = {name.removeprefix(native.PRETRAINING): file.tensors[name] for name in file.tensors if name in inside}
    write_torch_file(target, published_checkpoint(weights, target.stem))
    left_out = (*file.others, *(name for name in file.tensors if name not in inside))
    remarks = (
        "epoch is written as 0, and there is no optimizer: to draw and to fine-tune from, not to resume",
        "the dictionary is no part of this layout; the published code reads it from its own file",
    )
    return Conversion(target, OUR_PRETRAINING.name, len(weights), left_out, remarks)


def published_oclip_weights(file: WeightFile, run: PretrainingRun) -> dict[str, Tensor]:
    """The weights of a published oCLIP checkpoint, after checking that they are those of the run's model.

    Raises:
        CheckpointError: sizes differ (each is listed with the setting that decides it), or names or shapes do.
    """
    encoder = extract_image_encoder(file)
    found = {
        **oclip_sizes(file.tensors),
        "encoder.layers": encoder.settings["layers"],
        "encoder.width": encoder.settings["width"],
    }
    characters = build_characters(run)
    settings = run.method.model_copy(update={"vocabulary_size": vocabulary_size(run.method, characters)})
    wanted = {name: _setting(settings, name) for name in found}
    differing = [
        f"\n  method.{name}: {found[name]} in the file, {wanted[name]} in the settings"
        for name in found
        if found[name] != wanted[name]
    ]
    if found["vocabulary_size"] != wanted["vocabulary_size"]:
        differing.append(
            f"\n  The dictionary ({run.method.characters or 'printable ASCII'}, {len(characters)} characters) is not "
            "the one this model was trained with, unless that model has rows to spare; then say so with "
            f"method.vocabulary_size={found['vocabulary_size']}"
        )
    if differing:
        raise CheckpointError(f"{file.path} does not fit the settings:{''.join(differing)}")
    with torch.device("meta"):
        model = OclipModel(settings, wanted["vocabulary_size"])
    require_fit(model, file.tensors, file.path)
    return file.tensors


def _setting(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


def read_source(source: Path, target: Path, expected: Source | None) -> WeightFile:
    """The weights to convert.

    Args:
        expected: what they must be; None = anything.

    Raises:
        CheckpointError: they cannot be read, are of another source, or `target` is the file itself.
    """
    if source.exists() and target.exists() and target.samefile(source):
        raise CheckpointError(f"{target}: would be written over what is read; choose another name")
    file = read_weights(source)
    if expected is not None:
        try:
            found = identify_source(file.tensors)
        except CheckpointError as error:
            raise CheckpointError(f"{source}: {error}") from None
        if found is not expected:
            raise CheckpointError(f"{source}: holds {found.name}, expected {expected.name}")
    return file


def _read_encoder(source: Path, target: Path, expected: Source | None = None) -> ImageEncoderWeights:
    """The image encoder of a file, complete and of the shapes that its sizes call for."""
    encoder = extract_image_encoder(read_source(source, target, expected))
    model = _empty_encoder(encoder, source)
    if not isinstance(model, nn.Module):
        raise TypeError("an encoder with weights is an nn.Module")
    require_fit(model, encoder.weights, f"{source} ({encoder})")
    return encoder


def _empty_encoder(encoder: ImageEncoderWeights, source: Path) -> Encoder:
    """The encoder of these settings, without weights."""
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
    left_out = encoder.left_out if with_pool else (*encoder.left_out, *encoder.pool_names)
    overrides = " ".join(f"encoder.{name}={value}" for name, value in settings.items())
    remarks = [f"use it with: {overrides} encoder.weights={target}"]
    if with_pool and encoder.pool:
        output = tuple(encoder.pool["attnpool.c_proj.weight"].shape)
        remarks.append(f"attention pool: output projection {output}; taken by a model of the same, left out by others")
    return Conversion(target, str(encoder), len(weights), left_out, tuple(remarks))


def _compact(value: Any) -> str:
    """A setting as an override on the command line has it, without spaces."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
