"""Detectors of TextBPN's and TextBPN++'s authors to scenetext checkpoints and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scenetext.conversion.detectors import empty_weights, published_part, renamed_weights, require_encoder
from scenetext.conversion.files import Conversion, names_of_detector, read_source, write_checkpoint
from scenetext.detectors.textbpn.published import AUTHORS
from scenetext.errors import ConfigError
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import DetectionRun
from scenetext.weights.files import WeightFile, write_torch_file
from scenetext.weights.image_encoder import extract_image_encoder
from scenetext.weights.sources import TEXTBPN
from scenetext.weights.textbpn import UNUSED, to_textbpn_name

ENCODER = "resnet"
"""The encoder that these authors' detectors have."""


def convert_from_textbpn(source: Path, target: Path, run: DetectionRun[Any, Any]) -> Conversion:
    """A detector of TextBPN's authors as a scenetext checkpoint, for every tool that takes a detector's best.pt.

    Args:
        run: the run that the checkpoint is to be of: encoder, detector with its stride, test size. `published_settings`
            is what it should set for weights that the authors publish.

    Raises:
        CheckpointError: the file holds no such detector, or does not fit the run; what differs is listed.
        ConfigError: the run's detector is none of these authors', or its encoder no ResNet.
    """
    file = read_source(source, target, TEXTBPN)
    own = empty_weights(run)
    names = textbpn_names(own, run)
    used = set(names.values())
    unused = tuple(name for name in file.tensors if name in UNUSED and name not in used)
    weights = {name: value for name, value in file.tensors.items() if name not in unused}
    require_encoder(extract_image_encoder(WeightFile(file.path, weights, ())), run, source)
    model = renamed_weights(own, names, weights, f"{source} (its authors' names)")
    write_checkpoint(target, run, model)
    found = f"{TEXTBPN.name}, as {run.detector.name} on {run.encoder.name}"
    return Conversion(target, found, len(model), (*file.others, *unused), file.remarks)


def convert_to_textbpn(source: Path, target: Path) -> Conversion:
    """A scenetext detector under the names of TextBPN's authors, as their torch file {lr, epoch, model}.

    Raises:
        CheckpointError: the file is no scenetext checkpoint of a detector.
        ConfigError: it is none of these authors', or its encoder is no ResNet as theirs.
    """
    file = read_source(source, target, None)
    task, run, _ = load_trained_task(source, DETECTION)
    own = task.state_dict()
    state = {foreign: own[name] for name, foreign in textbpn_names(own, run).items()}
    deformable = bool(run.encoder.deformable_stages)
    unused = {name: torch.zeros(shape) for name, shape in UNUSED.items() if deformable or ".base_net." not in name}
    write_torch_file(target, {"lr": 0.0, "epoch": 0, "model": {**unused, **state}})
    remark = "lr and epoch are written as 0, and layers that their models hold but do not use are filled with 0"
    found = f"a scenetext detector, {run.detector.name} on {run.encoder.name}"
    return Conversion(target, found, len(own), file.others, file.remarks, (remark,))


def published_settings(detector: str) -> tuple[str, ...]:
    """Settings in which a detector's defaults differ from what its authors' models compute, as overrides of a run.

    Raises:
        ConfigError: it is none of these authors'.
    """
    settings: tuple[str, ...] = published_part(detector, AUTHORS).SETTINGS
    return settings


def textbpn_names(own: Mapping[str, Tensor], run: DetectionRun[Any, Any]) -> dict[str, str]:
    """For every name of a detection task's weights that of these authors, in the same order.

    Raises:
        ConfigError: the detector is none of theirs, or there is no name for one of the weights.
    """
    prefixes: Mapping[str, str] = published_part(run.detector.name, AUTHORS).NAMES
    if run.encoder.name != ENCODER or run.encoder.stem != "plain":
        raise ConfigError(
            f"TextBPN's authors have no encoder like this {run.encoder.name}; encoder.name has to be {ENCODER} with "
            "encoder.stem=plain"
        )
    deformable = bool(run.encoder.deformable_stages)
    return names_of_detector(
        own, run.detector.name, prefixes, lambda rest: to_textbpn_name(rest, deformable), "its authors"
    )
