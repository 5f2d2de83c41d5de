"""Checkpoints to model files: weights and settings alone, to pass on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scenetext.config import override_values
from scenetext.conversion.files import Conversion
from scenetext.errors import CheckpointError
from scenetext.runs.load import load_trained_task
from scenetext.training.checkpoint import save_model
from scenetext.weights.report import count_groups


def convert_to_model_file(source: Path, target: Path, half: bool, overrides: Sequence[str] = ()) -> Conversion:
    """A scenetext checkpoint of any kind as a model file, which everything but `--resume` takes in its place.

    Args:
        source: best.pt, or a step checkpoint.
        target: .safetensors.
        half: store weights in half precision.
        overrides: settings of its run to change, such as the test size, `key.sub=value`.

    Raises:
        CheckpointError: the source is no scenetext checkpoint, or the target cannot be written.
        ConfigError: an override cannot be used.
    """
    if source.exists() and target.exists() and target.samefile(source):
        raise CheckpointError(f"{target}: would be written over what is read; choose another name")
    _, _, content = load_trained_task(source, overrides=overrides)  # a file that cannot be used is not passed on
    save_model(target, {**content, "config": override_values(content["config"], overrides)}, half)
    weights = content["model"]
    return Conversion(
        written=target,
        found=f"a scenetext {content['kind']} model, step {content['step']}: {count_groups(weights)}",
        mapped=len(weights),
        dropped=(),
        around=(),
        remarks=(f"{target.stat().st_size / 1e6:.2f} MB, in {'half' if half else 'single'} precision",),
    )
