"""Spotters of Mask TextSpotter v3's published code to scenetext checkpoints and back: names and layout alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scenetext.conversion.detectors import empty_weights, published_part, renamed_weights, require_encoder
from scenetext.conversion.files import Conversion, names_of_detector, read_source, write_checkpoint
from scenetext.errors import ConfigError
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import DetectionRun
from scenetext.spotters.mask_textspotter.published import AUTHORS, LICENCE, OFFSETS
from scenetext.weights import native
from scenetext.weights.files import WeightFile, write_torch_file
from scenetext.weights.image_encoder import FIRST_CONVOLUTION, extract_image_encoder
from scenetext.weights.mask_textspotter import PIXEL_STATISTICS, to_published_name
from scenetext.weights.sources import MASK_TEXTSPOTTER

PUBLISHED = (
    *(f"encoder.{name}=[{','.join(map(str, each))}]" for name, each in PIXEL_STATISTICS.items()),
    "encoder.bottleneck_stride=1x1",
    "detector.reading.codes=learnt",
    "detector.published=true",
)
"""Settings in which scenetext's defaults differ from what the published models compute."""
_COUNTERS = "num_batches_tracked"
_OFFSET_OUTPUTS = 4
"""Of a class; the published layer has as many for the background in front of them, which are never used."""


def convert_from_mask_textspotter(source: Path, target: Path, run: DetectionRun[Any, Any]) -> Conversion:
    """A published model of Mask TextSpotter v3 as a scenetext checkpoint, for every tool that takes a best.pt.

    Args:
        run: the run that the checkpoint is to be of: encoder, alphabet, test size. `PUBLISHED` is what it should set.

    Raises:
        CheckpointError: the file holds no such model, or does not fit the run; what differs is listed.
        ConfigError: the run is not of Mask TextSpotter on torchvision's ResNet.
    """
    file = read_source(source, target, MASK_TEXTSPOTTER)
    own = empty_weights(run)
    names = published_names(own, run)
    require_encoder(extract_image_encoder(WeightFile(file.path, file.tensors, ())), run, source)
    shapes = {
        name: torch.cat((own[name], own[name])) if name.startswith(f"head.{OFFSETS}.") else own[name] for name in names
    }
    model = renamed_weights(shapes, names, file.tensors, f"{source} (its published names)")
    counters = {name: torch.zeros_like(value, device="cpu") for name, value in own.items() if name not in names}
    weights = {**counters, **_turned({name: _of_text(name, model[name]) for name in model})}
    write_checkpoint(target, run, weights, run.detector.characters)
    found = f"{MASK_TEXTSPOTTER.name}, as {run.detector.name} on {run.encoder.name}"
    return Conversion(target, found, len(model), file.others, file.remarks, (LICENCE,))


def convert_to_mask_textspotter(source: Path, target: Path) -> Conversion:
    """A scenetext Mask TextSpotter under the published names, as a torch file {model}.

    Raises:
        CheckpointError: the file is no scenetext checkpoint of a detector.
        ConfigError: it is not of Mask TextSpotter on torchvision's ResNet.
    """
    file = read_source(source, target, None)
    task, run, _ = load_trained_task(source, DETECTION)
    own = task.state_dict()
    turned = _turned(own)
    state = {foreign: _of_both(name, turned[name]) for name, foreign in published_names(own, run).items()}
    write_torch_file(target, {"model": state})
    found = f"a scenetext detector, {run.detector.name} on {run.encoder.name}"
    mean = [round(255 * value, 4) for value in reversed(task.encoder.pixel_mean)]
    remarks = [
        f"the published code expects BGR from 0 to 255 minus PIXEL_MEAN, undivided; this model has PIXEL_MEAN {mean}",
        "outputs for the offsets of the background, which are never used, are filled with 0",
    ]
    if any(abs(255 * value - 1) > 1e-6 for value in task.encoder.pixel_std):
        deviation = [round(255 * value, 4) for value in reversed(task.encoder.pixel_std)]
        remarks.append(f"and it divides pixels by {deviation}, which PIXEL_STD has to say")
    return Conversion(target, found, len(state), file.others, file.remarks, tuple(remarks))


def published_names(own: Mapping[str, Tensor], run: DetectionRun[Any, Any]) -> dict[str, str]:
    """For every name of a task's weights the published one, in the same order; counters of batches have none.

    Raises:
        ConfigError: the run is not of Mask TextSpotter on torchvision's ResNet, or there is no name for a weight.
    """
    prefixes: Mapping[str, str] = published_part(run.detector.name, AUTHORS).NAMES
    if run.encoder.name != "resnet" or run.encoder.stem != "plain":
        raise ConfigError(
            f"{AUTHORS} have no encoder like this {run.encoder.name}; encoder.name has to be resnet with "
            "encoder.stem=plain"
        )
    return names_of_detector(
        own,
        run.detector.name,
        prefixes,
        lambda rest: None if rest.endswith(_COUNTERS) else to_published_name(rest),
        AUTHORS,
    )


def _of_text(name: str, value: Tensor) -> Tensor:
    """A tensor of the task, where it is of the offsets those of text alone."""
    return value[_OFFSET_OUTPUTS:].clone() if name.startswith(f"head.{OFFSETS}.") else value


def _of_both(name: str, value: Tensor) -> Tensor:
    """A tensor of the published model, where it is of the offsets with zeros for those of the background."""
    return torch.cat((torch.zeros_like(value), value)) if name.startswith(f"head.{OFFSETS}.") else value


def _turned(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a task, with a first convolution that reads colours in the other order: BGR for RGB."""
    first = native.DETECTOR_ENCODER + FIRST_CONVOLUTION
    return {name: value.flip(1) if name == first else value for name, value in weights.items()}
