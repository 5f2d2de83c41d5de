"""Networks that `scenetext export` wrote: read back as a detection task that ONNX Runtime computes for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from scenetext.config import override_values
from scenetext.contracts import DetectorSpec
from scenetext.errors import CheckpointError, ConfigError
from scenetext.layers.stages import IMAGE
from scenetext.runs.kinds import DETECTION, known_characters, known_detector
from scenetext.runs.settings import DetectionRun, check_run
from scenetext.structures import Features
from scenetext.tasks.detection import DetectionTask
from scenetext.weights.files import read_weights
from scenetext.weights.report import load_weights

SUFFIX = ".onnx"
METADATA_KEY = "scenetext"
"""Of the JSON in the metadata of an exported network."""
FORMAT_VERSION = 1
OWN_FORM = "scenetext"
"""The form whose input is what a task's normalisation makes; other programs' forms are not loaded."""


def is_exported(path: Path) -> bool:
    """Whether a file is an exported network, by its name."""
    return path.suffix.lower() == SUFFIX


def stages_file(path: Path) -> Path:
    """Where the weights of a network's stages lie: beside it."""
    return path.with_suffix(".stages.safetensors")


def load_exported_task(
    path: Path, overrides: Sequence[str] = ()
) -> tuple[DetectionTask, DetectionRun[Any, Any], dict[str, Any]]:
    """A detector whose encoder and head are an ONNX file; preparation, stages and decoding are scenetext's.

    Args:
        overrides: settings of the run to change; what the network is made of cannot be changed any more.

    Returns:
        As `load_trained_task`; the content is the file's metadata.

    Raises:
        CheckpointError: the file is damaged, not an export of scenetext, or in another program's form; or the weights
            of its stages are not beside it.
        ConfigError: ONNX Runtime is not installed, or an override cannot be used.
    """
    session = open_session(path)
    content = read_metadata(session, path)
    run = cast(DetectionRun[Any, Any], check_run(override_values(content["config"], overrides), str(path)))
    spec, config = known_detector(run, known_characters(content, path))
    known = run.model_copy(update={"detector": config})
    return exported_task(known, spec, session, content, path), run, content


def exported_task(
    run: DetectionRun[Any, Any], spec: DetectorSpec, session: Any, content: Mapping[str, Any], path: Path
) -> DetectionTask:
    """The task around a session, with the weights of its stages."""

    def head(config: Any, channels: tuple[int, ...]) -> nn.Module:
        return SessionHead(session, path, content["outputs"], getattr(spec.head(config, channels), "later", None))

    task = DetectionTask(
        ImagesAlone(content["channels"], content["input"]["mean"], content["input"]["std"]),
        replace(spec, head=head, training_maps=()),
        run.detector,
        run.transform,
        run.evaluation_transform,
        run.evaluation,
    )
    later = cast(nn.Module, task.head.later)
    if later.state_dict():
        load_weights(later, read_weights(stages_file(path)).tensors, stages_file(path))
    return task.eval()


def open_session(path: Path) -> Any:
    """An `onnxruntime.InferenceSession` of a file, on the CPU, with as many threads as torch.

    Raises:
        CheckpointError: the file is missing, or ONNX Runtime cannot read it.
        ConfigError: ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(
            f'{path}: needs onnxruntime, which cannot be imported ({error}): pip install "scenetext[export]"'
        ) from None
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no public base
        raise CheckpointError(f"{path}: ONNX Runtime cannot read it: {str(error).splitlines()[0]}") from None


def read_metadata(session: Any, path: Path) -> dict[str, Any]:
    """What `scenetext export` wrote about a network.

    Raises:
        CheckpointError: nothing, or something that this version does not read.
    """
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    try:
        content = json.loads(text or "null")
    except ValueError:
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise CheckpointError(f"{path}: was not written by scenetext export, whose metadata it lacks")
    if content.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: has format {content.get('format_version')!r:.40}, this version reads {FORMAT_VERSION}"
        )
    if content.get("form") != OWN_FORM:
        raise CheckpointError(f"{path}: was exported for {content.get('form')}; export it again without --for")
    if content.get("kind") != DETECTION.name:
        raise CheckpointError(f"{path}: holds a {content.get('kind')} model, expected {DETECTION.name}")
    return content


class ImagesAlone(nn.Module):
    """Stands for the encoder where a session has it inside: gives no features.

    Args:
        channels: of the features that the head was made for.
        mean, std: of the encoder's input.
    """

    strides: tuple[int, ...] = (4, 8, 16, 32)

    def __init__(self, channels: Sequence[int], mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.pixel_mean = (mean[0], mean[1], mean[2])
        self.pixel_std = (std[0], std[1], std[2])

    def forward(self, images: Tensor) -> Features:
        """No levels; the images themselves are in the side of what the task makes of this."""
        return Features(())

    def load_weights(self, weights: Path | None = None) -> list[str]:
        """Nothing: the weights are in the session."""
        return []


class SessionHead(nn.Module):
    """A head that hands the images to a session and returns its outputs as maps.

    Args:
        session: of ONNX Runtime.
        path: of its file, for messages.
        names: of its outputs.
        later: the modules of the detector's stages; they run in PyTorch.

    Attributes:
        runtime: what computes, for printing.
    """

    def __init__(self, session: Any, path: Path, names: Sequence[str], later: nn.ModuleDict | None) -> None:
        super().__init__()
        self.session = session
        self.path = path
        self.names = list(names)
        self.later = nn.ModuleDict() if later is None else later
        self.runtime = f"ONNX Runtime, {', '.join(session.get_providers())}"

    def forward(self, features: Features) -> dict[str, Tensor]:
        """The maps of the images in `features.side`, on their device.

        Raises:
            CheckpointError: the network does not take images of this size, as where a model of another library was
                traced that computes with the size of the image it saw.
        """
        images = features.side[IMAGE]
        inputs = {self.session.get_inputs()[0].name: np.ascontiguousarray(images.float().cpu().numpy())}
        try:
            found = self.session.run(self.names, inputs)
        except Exception as error:  # its exceptions have no public base
            batch, _, height, width = images.shape
            raise CheckpointError(
                f"{self.path}: ONNX Runtime cannot compute {batch} images of {height} x {width} pixels with it: "
                f"{str(error).splitlines()[0]}"
            ) from None
        return {name: torch.from_numpy(array).to(images.device) for name, array in zip(self.names, found, strict=True)}
