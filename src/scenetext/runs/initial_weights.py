"""The network that a detection run starts from: all of another run's, or all but the parts that the run names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from scenetext.errors import CheckpointError, ConfigError
from scenetext.runs.granularity import Granularity, granularity_warning
from scenetext.runs.settings import DetectionRun
from scenetext.spotters.reader.stage import STAGE
from scenetext.tasks.detection import DetectionTask
from scenetext.training.checkpoint import load_checkpoint
from scenetext.training.parameter_groups import near_patterns
from scenetext.weights.native import DETECTOR_ENCODER
from scenetext.weights.report import count_groups, require_fit


def initialise_detector(task: DetectionTask, run: DetectionRun[Any, Any], labels: Granularity) -> list[str]:
    """Loads a whole network, where the run names one, or the encoder's weights; what fitted, a line each, and warnings.

    What `run.initial_weights_except` matches is not taken from that network; if a part of the encoder is among it,
    `encoder.weights` is read first. A reader that the network does not have is new without being named.

    Args:
        labels: that the run learns from.

    Raises:
        CheckpointError: the file is of another network, or cannot be used for the encoder.
        ConfigError: a pattern that matches nothing, or patterns that match everything.
    """
    if run.initial_weights is None:
        return task.encoder.load_weights()
    content = load_checkpoint(run.initial_weights)
    own, weights = task.state_dict(), content["model"]
    _check_patterns(run.initial_weights_except, own, weights)
    patterns = [*run.initial_weights_except, *_new_reader(run, content)]
    new = [name for name in own if _matches(name, patterns)]
    unused = [name for name in weights if _matches(name, patterns)]
    expected = {name: own[name] for name in own.keys() - set(new)}
    taken = {name: weights[name] for name in weights.keys() - set(unused)}
    try:
        report = require_fit(expected, taken, run.initial_weights)
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}\nwhat is not to be taken from the file is named in initial_weights_except, as in "
            "initial_weights_except=head.*; nothing else may be missing or left over"
        ) from None
    remarks = task.encoder.load_weights() if any(name.startswith(DETECTOR_ENCODER) for name in new) else []
    task.load_state_dict(taken, strict=False)
    remarks.append(f"initial weights: {run.initial_weights} (step {content['step']}): {report}")
    if new or unused:
        remarks.append(
            f"initial weights: new, not taken from the file: {count_groups(new)}; in the file, not used: "
            f"{count_groups(unused)}"
        )
    return remarks + granularity_warning(content.get("labels"), labels, run.initial_weights)


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
