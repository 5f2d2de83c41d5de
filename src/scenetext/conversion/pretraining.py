"""Published checkpoints of pre-training methods, oCLIP and ODM, to scenetext checkpoints and back."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

import torch
from torch import Tensor

from scenetext.conversion.files import Conversion, read_source, write_checkpoint
from scenetext.errors import CheckpointError
from scenetext.pretraining.oclip.task import OclipTask
from scenetext.runs.kinds import AnyPretraining, build_pretraining_task
from scenetext.runs.load import PUBLISHED_METHOD
from scenetext.runs.settings import PretrainingRun
from scenetext.weights import native
from scenetext.weights.files import WeightFile, write_torch_file
from scenetext.weights.image_encoder import extract_image_encoder
from scenetext.weights.oclip import is_odm, oclip_sizes, published_checkpoint
from scenetext.weights.report import require_fit
from scenetext.weights.sources import OCLIP, ODM, SCENETEXT_PRETRAINING

PUBLISHED_BEHAVIOUR = tuple(f"method.{name}={str(value).lower()}" for name, value in PUBLISHED_METHOD.items())
"""Settings in which the defaults differ from what published oCLIP models compute, as overrides of a run."""


def convert_from_oclip(source: Path, target: Path, run: PretrainingRun) -> Conversion:
    """A published oCLIP checkpoint as a scenetext checkpoint, for every tool that takes a pre-training's best.pt.

    Args:
        run: the run that the checkpoint is to be of: sizes, dictionary, transform. `PUBLISHED_BEHAVIOUR` is what it
            should set for the published numbers.

    Raises:
        CheckpointError: the file is of another source, or does not fit the run; what differs is listed.
    """
    file = read_source(source, target, OCLIP)
    with torch.device("meta"):
        task = build_pretraining_task(run)
    weights = published_oclip_weights(file, task)
    write_checkpoint(
        target, run, {native.PRETRAINING + name: value for name, value in weights.items()}, task.characters
    )
    remark = f"dictionary: {run.method.characters or 'printable ASCII'}"
    return Conversion(target, OCLIP.name, len(weights), file.others, file.remarks, (remark,))


def convert_from_odm(source: Path, target: Path, run: AnyPretraining) -> Conversion:
    """As `convert_from_oclip`, of a published ODM checkpoint.

    Raises:
        CheckpointError: the file is of another source, or does not fit the run; what differs is listed.
    """
    file = read_source(source, target, ODM)
    with torch.device("meta"):
        task = build_pretraining_task(run)
    require_fit(task.network, file.tensors, file.path)
    weights = {native.PRETRAINING + name: value for name, value in file.tensors.items()}
    write_checkpoint(target, run, weights, task.characters)
    remark = f"dictionary: {run.method.characters or 'printable ASCII'}"
    return Conversion(target, ODM.name, len(weights), file.others, file.remarks, (remark,))


def convert_to_oclip(source: Path, target: Path) -> Conversion:
    """An oCLIP pre-training in the published layout: {epoch, name, state_dict}, names with the prefix "module.".

    Raises:
        CheckpointError: the file is no scenetext checkpoint of a pre-training with oCLIP.
    """
    return _convert_to_published(source, target, "oclip")


def convert_to_odm(source: Path, target: Path) -> Conversion:
    """As `convert_to_oclip`, of ODM; the layout is the same."""
    return _convert_to_published(source, target, "odm")


def _convert_to_published(source: Path, target: Path, method: str) -> Conversion:
    file = read_source(source, target, SCENETEXT_PRETRAINING)
    inside = {name for name in file.tensors if name.startswith(native.PRETRAINING)}
    weights = {name.removeprefix(native.PRETRAINING): file.tensors[name] for name in file.tensors if name in inside}
    found = "odm" if is_odm(weights) else "oclip"
    if found != method:
        raise CheckpointError(f"{source}: was pre-trained with {found}; write it with to-{found}")
    write_torch_file(target, published_checkpoint(weights, target.stem))
    dropped = (*file.others, *(name for name in file.tensors if name not in inside))
    remarks = (
        "epoch is written as 0, and there is no optimizer: to draw and to fine-tune from, not to resume",
        "the dictionary is no part of this layout; the published code reads it from its own file",
    )
    return Conversion(target, SCENETEXT_PRETRAINING.name, len(weights), dropped, file.remarks, remarks)


def published_oclip_weights(file: WeightFile, task: OclipTask) -> dict[str, Tensor]:
    """The weights of a published oCLIP checkpoint, after checking that they are those of a task's model.

    Args:
        task: may be on the meta device.

    Raises:
        CheckpointError: sizes differ (each is listed with the setting that decides it), or names or shapes do.
    """
    encoder = extract_image_encoder(file)
    kind = task.settings.encoder.name
    if kind != encoder.settings["name"]:
        raise CheckpointError(
            f"{file.path} does not fit the settings:\n  method.encoder.name: {encoder.settings['name']} in the file, "
            f"{kind} in the settings"
        )
    found = {
        **oclip_sizes(file.tensors),
        "encoder.layers": encoder.settings["layers"],
        "encoder.width": encoder.settings["width"],
    }
    rows = task.network.token_embedding.num_embeddings
    settings = task.settings.model_copy(update={"vocabulary_size": rows})
    wanted = {name: attrgetter(name)(settings) for name in found}
    differing = [
        f"\n  method.{name}: {found[name]} in the file, {wanted[name]} in the settings"
        for name in found
        if found[name] != wanted[name]
    ]
    if found["vocabulary_size"] != rows:
        differing.append(
            f"\n  The dictionary ({settings.characters or 'printable ASCII'}, {len(task.characters)} characters) is "
            "not the one this model was trained with, unless that model has rows to spare; then say so with "
            f"method.vocabulary_size={found['vocabulary_size']}"
        )
    if differing:
        raise CheckpointError(f"{file.path} does not fit the settings:{''.join(differing)}")
    require_fit(task.network, file.tensors, file.path)
    return file.tensors
