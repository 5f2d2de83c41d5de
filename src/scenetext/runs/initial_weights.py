"""The network that a run starts from: all of another run's, or all but the parts that the run names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import Tensor

from scenetext.contracts import PretrainingSpec
from scenetext.errors import CheckpointError, ConfigError
from scenetext.layers.transformer import resize_position_table
from scenetext.pretraining import find_method
from scenetext.runs.granularity import Granularity, granularity_warning
from scenetext.runs.hand_over import as_detector
from scenetext.runs.settings import DetectionRun, PretrainingRun, StartingRun
from scenetext.spotters.reader.stage import STAGE
from scenetext.tasks.detection import DetectionTask
from scenetext.training.checkpoint import load_checkpoint
from scenetext.training.parameter_groups import near_patterns
from scenetext.weights.native import DETECTOR_ENCODER, PRETRAINED_ENCODER
from scenetext.weights.report import count_groups, require_fit


def initialise_detector(task: DetectionTask, run: DetectionRun[Any, Any], labels: Granularity) -> list[str]:
    """Loads a whole network, where the run names one, or the encoder's weights; what fitted, a line each, and warnings.

    What `run.initial_weights_except` matches is not taken from that network; if a part of the encoder is among it,
    `encoder.weights` is read first. A reader that the network does not have is new without being named.

    Args:
        labels: that the run learns from.

    Raises:
        CheckpointError: the file is of another network, or cannot be used for the encoder.
        ConfigError: a pattern that matches nothing, or patterns that match everything; no network to read behind.
    """
    source = run.starts_from
    if source is None:
        if run.reader is not None and run.reader.freeze_detector:
            raise ConfigError("reader.freeze_detector: name the detector to read behind, initial_weights=RUN/best.pt")
        return task.encoder.load_weights()
    content = load_checkpoint(source)
    weights = _detector_weights(content, source)
    remarks = _start_from(task, run, content, weights, _new_reader(run, content))
    return remarks + granularity_warning(content.get("labels"), labels, source)


def initialise_pretraining(task: Any, run: PretrainingRun[Any, Any, Any], labels: Granularity) -> list[str]:
    """As `initialise_detector`, of a pre-training; tables of positions are resized to the run's input size.

    Raises:
        CheckpointError: as `initialise_detector`, or the network knows other characters than the run.
        ConfigError: as `initialise_detector`.
    """
    path = run.starts_from
    if path is None:
        remarks: list[str] = task.encoder.load_weights()
        return remarks
    content = load_checkpoint(path)
    known, own = content.get("characters"), getattr(task, "characters", None)
    if known and own is not None and tuple(known) != own.characters:
        raise CheckpointError(
            f"{path}: knows {len(known)} characters, and this run others ({len(own)}); set method.characters to the "
            "dictionary of that run, which lies in its folder as characters.txt"
        )
    spec = find_method(run.method.name)
    weights, resized = _with_own_positions(task, _method_weights(spec, content), spec.image_positions)
    return [*_start_from(task, run, content, weights, []), *resized]


def _start_from(
    task: Any, run: StartingRun, content: Mapping[str, Any], weights: Mapping[str, Tensor], new_parts: Sequence[str]
) -> list[str]:
    """Loads the network of a checkpoint's content; what fitted, a line each.

    Args:
        new_parts: globs over names of weights that are new without being named by the run.
    """
    path, own = run.starts_from, task.state_dict()
    _check_patterns(run.initial_weights_except, own, weights)
    patterns = [*run.initial_weights_except, *new_parts]
    new = [name for name in own if _matches(name, patterns)]
    unused = [name for name in weights if _matches(name, patterns)]
    expected = {name: own[name] for name in own.keys() - set(new)}
    taken = {name: weights[name] for name in weights.keys() - set(unused)}
    try:
        report = require_fit(expected, taken, str(path))
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}\nwhat is not to be taken from the file is named in initial_weights_except, as in "
            "initial_weights_except=head.*; nothing else may be missing or left over"
        ) from None
    in_encoder = any(name.startswith((DETECTOR_ENCODER, PRETRAINED_ENCODER)) for name in new)
    remarks: list[str] = task.encoder.load_weights() if in_encoder else []
    task.load_state_dict(taken, strict=False)
    remarks.append(f"initial weights: {path} (step {content['step']}): {report}")
    if new or unused:
        remarks.append(
            f"initial weights: new, not taken from the file: {count_groups(new)}; in the file, not used: "
            f"{count_groups(unused)}"
        )
    return remarks


def _detector_weights(content: Mapping[str, Any], path: Path) -> Mapping[str, Tensor]:
    """The weights of a detector's task in a checkpoint of a detector, or of a method that pre-trains one."""
    detector = as_detector(content)
    if detector.get("kind") == "pretraining":
        raise CheckpointError(
            f"{path}: {content['config']['method']['name']} pre-trains an image encoder, no whole detector; start from "
            f"it with encoder.weights={path}"
        )
    weights: Mapping[str, Tensor] = detector["model"]
    return weights


def _method_weights(spec: PretrainingSpec, content: Mapping[str, Any]) -> Mapping[str, Tensor]:
    """The weights of a method's task in a checkpoint of its own kind, or of a detector, from which some start."""
    weights: Mapping[str, Tensor] = content["model"]
    is_detector = content.get("kind") == "detection" and spec.weights_from_detector is not None
    return spec.weights_from_detector(weights) if is_detector and spec.weights_from_detector else weights


def _with_own_positions(
    task: Any, weights: Mapping[str, Tensor], names: Sequence[str]
) -> tuple[Mapping[str, Tensor], list[str]]:
    """The weights with tables of positions of as many rows as the task has, and a remark on each that was resized."""
    own, resized, remarks = task.state_dict(), dict(weights), []
    for name in names:
        if name in own and name in weights and len(own[name]) != len(weights[name]):
            resized[name] = resize_position_table(weights[name], len(own[name]))
            rows = f"{len(weights[name])} to {len(own[name])}"
            remarks.append(f"initial weights: {name} is resized from {rows} positions, for another input size")
    return resized, remarks


def _check_patterns(patterns: Sequence[str], own: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    names = list(dict.fromkeys([*own, *weights]))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = near_patterns(pattern, names)
            raise ConfigError(f"initial_weights_except: {pattern!r} matches no weights{near}")
    if all(_matches(name, patterns) for name in weights):
        raise ConfigError("initial_weights_except: it matches all weights of the file; leave initial_weights out")


def _new_reader(run: DetectionRun[Any, Any], content: Mapping[str, Any]) -> list[str]:
    """The pattern of a reader that the run has and the network of the file has not."""
    reads_already = (content.get("config") or {}).get("reader") is not None
    return [] if run.reader is None or reads_already else [f"head.later.{STAGE}.*"]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
