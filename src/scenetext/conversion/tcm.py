"""Published TCM detectors (MMOCR 0.x's layout) to scenetext checkpoints and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scenetext.conversion.detectors import empty_weights, head_prefixes, renamed_weights
from scenetext.conversion.files import Conversion, read_source, write_checkpoint
from scenetext.errors import CheckpointError, ConfigError
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import DetectionRun
from scenetext.tcm.config import TcmSettings
from scenetext.weights import mmocr, native, published_tcm
from scenetext.weights.files import write_torch_file
from scenetext.weights.sources import PUBLISHED_TCM

PROJECTION = native.DETECTOR_ENCODER + published_tcm.PROJECTION
TRANSPOSED = (PROJECTION,)
POSITIONS = f"{native.DETECTOR_ENCODER}{published_tcm.TEXT_ENCODER}positional_embedding"


def convert_from_tcm(source: Path, target: Path, run: DetectionRun[Any, Any]) -> Conversion:
    """A published TCM detector as a scenetext checkpoint, for every tool that takes a detector's best.pt.

    Args:
        run: the run that the checkpoint is to be of: encoder (`name: tcm`) with its switches and prompts, detector,
            test size.

    Raises:
        CheckpointError: the file holds no such detector, or does not fit the run; what differs is listed.
        ConfigError: the run's encoder is not TCM, or MMOCR does not have its detector.
    """
    file = read_source(source, target, PUBLISHED_TCM)
    _require_tcm(run)
    own = empty_weights(run)
    names = published_names(own, run)
    weights = dict(file.tensors)
    remarks = [*_fit_projection(weights, own), *_fit_positions(weights, own, names[POSITIONS])]
    model = renamed_weights(own, names, weights, f"{source} (names of TCM)", TRANSPOSED)
    write_checkpoint(target, run, model)
    statistics = "pixel statistics are no part of such a file: encoder.pixel_mean and pixel_std must be its training's"
    found = f"{PUBLISHED_TCM.name}, as {run.detector.name} on {run.encoder.name}"
    return Conversion(target, found, len(model), file.others, file.remarks, (*remarks, statistics))


def convert_to_tcm(source: Path, target: Path) -> Conversion:
    """A scenetext detector with TCM in the published layout, as a torch file {state_dict}.

    Raises:
        CheckpointError: the file is no scenetext checkpoint of a detector.
        ConfigError: its encoder is not TCM, or MMOCR does not have its detector.
    """
    file = read_source(source, target, None)
    task, run, _ = load_trained_task(source, DETECTION)
    _require_tcm(run)
    own = task.state_dict()
    names = published_names(own, run)
    state = {
        foreign: own[name].transpose(0, 1).contiguous() if name in TRANSPOSED else own[name]
        for name, foreign in names.items()
    }
    write_torch_file(target, {"state_dict": state})
    remarks = []
    if PROJECTION in own:
        shape = tuple(own[PROJECTION].shape)
        remarks.append(f"pix_w is {shape}; the published FastTCM declares another shape, with which it cannot run")
    found = f"a scenetext detector, {run.detector.name} on {run.encoder.name}"
    return Conversion(target, found, len(state), file.others, file.remarks, tuple(remarks))


def published_names(own: Mapping[str, Tensor], run: DetectionRun[Any, Any]) -> dict[str, str]:
    """For every name of a task's weights that of a published TCM detector, in the same order.

    Raises:
        ConfigError: there is no such name for one of them.
    """
    prefixes = head_prefixes(run.detector.name)
    names: dict[str, str] = {}
    for name in own:
        part, _, rest = name.partition(".")
        in_encoder = f"{part}." == native.DETECTOR_ENCODER
        foreign = published_tcm.published_name(rest) if in_encoder else mmocr.rename_prefix(rest, prefixes)
        if foreign is None:
            raise ConfigError(f"{run.detector.name} cannot be converted: TCM's layout has no name for {name}")
        names[name] = foreign if in_encoder else mmocr.old_detector_name(foreign)
    return names


def _require_tcm(run: DetectionRun[Any, Any]) -> None:
    if not isinstance(run.encoder, TcmSettings):
        raise ConfigError(f"the run's encoder is {run.encoder.name}, expected tcm")


def _fit_projection(weights: dict[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Replaces FastTCM's projection by the identity if it has the published shape, which fits nothing."""
    foreign = published_tcm.ENCODER_NAMES[published_tcm.PROJECTION]
    if PROJECTION not in own or foreign not in weights or weights[foreign].shape == own[PROJECTION].shape:
        return []
    found = tuple(weights[foreign].shape)
    weights[foreign] = torch.eye(len(own[PROJECTION]))
    return [f"{foreign} is {found}, with which the published code cannot run either: replaced by the identity"]


def _fit_positions(weights: dict[str, Tensor], own: Mapping[str, Tensor], foreign: str) -> list[str]:
    """Cuts the text encoder's positions to those that the run's prompts need.

    Raises:
        CheckpointError: the file has fewer.
    """
    rows, wanted = len(weights.get(foreign, ())), len(own[POSITIONS])
    if rows < wanted:
        raise CheckpointError(
            f"the file has {rows} positions of text, the run's prompts need {wanted}; shorten encoder.prompts or set "
            "encoder.learnable_prompts to the file's"
        )
    weights[foreign] = weights[foreign][:wanted]
    return [f"of {rows} positions of text the first {wanted}, which the prompts need"] if rows > wanted else []
