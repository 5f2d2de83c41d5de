"""MMOCR's checkpoints of whole detectors to scenetext's and back, by the names in each detector's `mmocr.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import torch
from torch import Tensor

from scenetext.config import validate
from scenetext.conversion.files import Conversion, read_source, write_checkpoint
from scenetext.detectors import optional_file
from scenetext.errors import CheckpointError, ConfigError
from scenetext.runs.encoders import find_encoder
from scenetext.runs.kinds import DETECTION, build_detection_task
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import DetectionRun
from scenetext.weights import mmocr, native, official_db
from scenetext.weights.files import WeightFile, read_weights, write_torch_file
from scenetext.weights.image_encoder import ImageEncoderWeights, extract_image_encoder
from scenetext.weights.report import require_fit
from scenetext.weights.sources import (
    MASK_TEXTSPOTTER,
    MMOCR,
    MMOCR_RESNET,
    OFFICIAL_DB,
    PUBLISHED_TCM,
    TEXTBPN,
    Source,
    without_parents,
)

MMOCR_NORMALIZATION = ("encoder.pixel_mean=[0.485,0.456,0.406]", "encoder.pixel_std=[0.229,0.224,0.225]")
"""Settings of all detectors that MMOCR publishes, those on CLIP's backbone too: ImageNet's statistics."""
_OTHER_COMMANDS: Mapping[Source, str] = MappingProxyType(
    {PUBLISHED_TCM: "from-tcm", TEXTBPN: "from-textbpn", MASK_TEXTSPOTTER: "from-mask-textspotter"}
)
"""What converts detectors of other sources."""


def published_normalization(source: Path) -> tuple[str, ...]:
    """Settings of the pixels' normalisation with which a detector of MMOCR, or of DBNet's official code, was trained.

    Raises:
        CheckpointError: the file cannot be read.
    """
    tensors = without_parents(read_weights(source)).tensors
    return official_db.NORMALIZATION if official_db.is_official_db(tensors) else MMOCR_NORMALIZATION


def convert_from_mmocr_detector(source: Path, target: Path, run: DetectionRun[Any, Any]) -> Conversion:
    """A detector of MMOCR 1.x or 0.x, or a DBNet of the official code, as a scenetext checkpoint, for every tool that
    takes a detector's best.pt.

    Args:
        run: the run that the checkpoint is to be of: encoder, detector, test size, and `published_normalization`.

    Raises:
        CheckpointError: the file holds no detector of MMOCR, or does not fit the run; what differs is listed.
        ConfigError: MMOCR does not have the run's detector.
    """
    file = read_source(source, target, None)
    weights = {mmocr.current_detector_name(name): value for name, value in file.tensors.items()}
    dropped = tuple(name for name in weights if name.startswith(mmocr.NO_WEIGHTS))
    weights = {name: value for name, value in weights.items() if name not in dropped}
    kind = "a detector of MMOCR"
    if official_db.is_official_db(weights):
        kind = OFFICIAL_DB.name
        weights, dropped = official_db.as_mmocr(weights)
    encoder = extract_image_encoder(WeightFile(file.path, weights, ()))
    if encoder.source not in (MMOCR, MMOCR_RESNET):
        command = _OTHER_COMMANDS.get(encoder.source)
        hint = "" if command is None else f"; convert it by {command}"
        raise CheckpointError(f"{source}: holds {encoder.source.name}, expected a detector of MMOCR{hint}")
    require_encoder(encoder, run, source)
    own = empty_weights(run)
    model = renamed_weights(own, mmocr_names(own, run), weights, f"{source} (MMOCR's names)")
    write_checkpoint(target, run, model)
    found = f"{kind}, as {run.detector.name} on {run.encoder.name}"
    return Conversion(target, found, len(model), (*file.others, *dropped), file.remarks, _remarks(run))


def convert_to_mmocr_detector(source: Path, target: Path) -> Conversion:
    """A scenetext detector under the names of MMOCR 1.x, as a torch file {state_dict}.

    Raises:
        CheckpointError: the file is no scenetext checkpoint of a detector.
        ConfigError: MMOCR does not have its detector.
    """
    file = read_source(source, target, None)
    task, run, _ = load_trained_task(source, DETECTION)
    own = task.state_dict()
    prefix = _prefix_of_all(run.detector.name)
    state = {prefix + foreign: own[name] for name, foreign in mmocr_names(own, run).items()}
    write_torch_file(target, {"state_dict": state})
    mean, std = (
        [round(255 * value, 3) for value in values] for values in (task.encoder.pixel_mean, task.encoder.pixel_std)
    )
    remark = f"MMOCR's data_preprocessor has to have mean={mean}, std={std}, bgr_to_rgb=True"
    found = f"a scenetext detector, {run.detector.name} on {run.encoder.name}"
    return Conversion(target, found, len(own), file.others, file.remarks, (remark, *_remarks(run)))


def mmocr_names(own: Mapping[str, Tensor], run: DetectionRun[Any, Any]) -> dict[str, str]:
    """For every name of a detection task's weights that of MMOCR 1.x, in the same order, without a prefix of all names.

    Raises:
        ConfigError: MMOCR has no such detector or encoder, or there is no name for one of the weights.
    """
    prefixes = head_prefixes(run.detector.name)
    backbone_name = mmocr.BACKBONE_NAMES.get(run.encoder.name)
    if backbone_name is None:
        raise ConfigError(f"MMOCR has no encoder like {run.encoder.name}; detectors with TCM convert by to-tcm")
    names: dict[str, str] = {}
    for name in own:
        part, _, rest = name.partition(".")
        if f"{part}." == native.DETECTOR_ENCODER:
            names[name] = mmocr.DETECTOR_BACKBONE + backbone_name(rest)
            continue
        foreign = mmocr.rename_prefix(rest, prefixes)
        if foreign is None:
            raise ConfigError(f"{run.detector.name} cannot be converted: it has no name of MMOCR's for {rest}")
        names[name] = foreign
    return names


def empty_weights(run: DetectionRun[Any, Any]) -> dict[str, Tensor]:
    """Names, shapes and types of the weights of a run's task, without values."""
    with torch.device("meta"):
        return build_detection_task(run).state_dict()


def renamed_weights(
    own: Mapping[str, Tensor],
    names: Mapping[str, str],
    weights: Mapping[str, Tensor],
    source: str,
    transposed: Collection[str] = (),
) -> dict[str, Tensor]:
    """The weights of a foreign detector under the names of a task.

    Args:
        own: as `empty_weights` gives them.
        names: of the task -> of the file.
        source: the file, for messages.
        transposed: names of the task's matrices that the file holds the other way round.

    Raises:
        CheckpointError: something is missing, left over or of another shape; it is listed in the names of the file.
    """

    def turned(name: str, value: Tensor) -> Tensor:
        return value.transpose(0, 1).contiguous() if name in transposed else value

    require_fit({foreign: turned(name, own[name]) for name, foreign in names.items()}, weights, source)
    return {
        name: turned(name, weights[foreign]).to(own[name].dtype)
        for name, foreign in names.items()
        if foreign in weights
    }


def head_prefixes(detector: str) -> Mapping[str, str]:
    """Prefixes of the names of a detector's head, and the same in MMOCR 1.x: `NAMES` of its `mmocr.py`.

    Raises:
        ConfigError: it has no such file, since MMOCR does not have the detector.
    """
    module = optional_file(detector, "mmocr")
    if module is None:
        raise ConfigError(
            f"{detector} cannot be converted: MMOCR has no such detector, as far as scenetext knows (there is no "
            f"detectors/{detector}/mmocr.py with the names of its weights there)"
        )
    names: Mapping[str, str] = module.NAMES
    return names


def published_part(detector: str, authors: str) -> ModuleType:
    """The `published.py` of a detector whose authors have other names for its weights than MMOCR.

    Args:
        authors: who publishes such files.

    Raises:
        ConfigError: the detector is none of theirs.
    """
    module = optional_file(detector, "published")
    whose = None if module is None else module.AUTHORS
    if module is None or whose != authors:
        raise ConfigError(
            f"{detector} cannot be converted: it is none of {authors} (there is no published.py of theirs in its "
            "folder, with the names of its weights)"
        )
    return module


def _prefix_of_all(detector: str) -> str:
    """What stands in front of all names of a detector in MMOCR 1.x: `PREFIX` of its `mmocr.py`, if it has one."""
    prefix: str = getattr(optional_file(detector, "mmocr"), "PREFIX", "")
    return prefix


def require_encoder(encoder: ImageEncoderWeights, run: DetectionRun[Any, Any], source: Path) -> None:
    """Makes sure that a foreign detector has the run's encoder.

    Raises:
        CheckpointError: it has another one; every size that differs is named.
    """
    found = validate(find_encoder(encoder.settings["name"]).settings, encoder.settings, str(source)).model_dump()
    wanted = run.encoder.model_dump()
    differing = ["name"] if found["name"] != wanted["name"] else []
    # Weights of an ordinary ResNet name neither deformable stages nor a deep stem: it has none.
    shown = [key for key in found if key in encoder.settings or key in ("deformable_stages", "stem")]
    differing = differing or [key for key in shown if found[key] != wanted[key]]
    if differing:
        lines = [f"\n  encoder.{key}: {found[key]} in the file, {wanted[key]} in the settings" for key in differing]
        raise CheckpointError(f"{source} does not fit the settings:{''.join(lines)}")


def _remarks(run: DetectionRun[Any, Any]) -> tuple[str, ...]:
    """What neither layout holds and the user has to see to."""
    stride = getattr(run.encoder, "bottleneck_stride", None)
    if stride is None or run.encoder.depth < 50:
        return ()
    style = {"3x3": "pytorch", "1x1": "caffe"}[stride]
    return (f"encoder.bottleneck_stride is {stride}, which MMOCR's configurations call style {style!r}",)
