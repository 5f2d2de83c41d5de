"""Checkpoints: complete, written whole or not at all, and read without executing anything."""

from __future__ import annotations

import json
import platform
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import scenetext
from scenetext.errors import CheckpointError
from scenetext.weights.files import (
    DESCRIPTION,
    read_description,
    read_torch_file,
    read_weights,
    write_safetensors,
    write_torch_file,
)

FORMAT = "scenetext checkpoint"
FORMAT_VERSION = 1
MODEL_FILE = ".safetensors"
"""What the name of a model file ends in."""
_KEPT = ("kind", "config", "characters", "labels", "step", "versions", "figures")
"""What of a checkpoint a model file keeps, besides the weights."""


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Writes plain data and tensors to a temporary file beside `path` and renames it, so `path` is always whole.

    Raises:
        CheckpointError: the file cannot be written (disk full, no permission); an older file at `path` stays as it was.
    """
    write_torch_file(path, {"format": FORMAT, "format_version": FORMAT_VERSION, **content})


def save_model(path: Path, content: Mapping[str, Any], half: bool) -> None:
    """Writes a model file: what is needed to use a model, as safetensors, which any program can read.

    Args:
        path: .safetensors.
        content: of a checkpoint.
        half: store weights in half precision, all but vectors: half as large.

    Raises:
        CheckpointError: the file cannot be written, or a weight is too large for half precision.
    """
    described = {key: content[key] for key in _KEPT if content.get(key) is not None}
    described["versions"] = {name: one for name, one in content.get("versions", {}).items() if name != "platform"}
    metadata = {DESCRIPTION: json.dumps({"format": FORMAT, "format_version": FORMAT_VERSION, **described})}
    weights = {name: _halved(value) if half else value for name, value in content["model"].items()}
    for name, value in weights.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(f"{path}: {name} has values that half precision cannot hold; leave --half out")
    write_safetensors(path, weights, metadata)


def _halved(value: torch.Tensor) -> torch.Tensor:
    """Weights of convolutions and linear layers, nearly all there are; statistics of norms may be too large."""
    return value.half() if value.is_floating_point() and value.dim() > 1 else value


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a scenetext checkpoint or model file; tensors are on the CPU, weights in float32.

    Raises:
        CheckpointError: the file is missing, damaged (a checkpoint even by a single bit), of another program, or of a
            newer format.
    """
    if path.suffix == MODEL_FILE:
        content: Any = _read_model(path)
    else:
        check_sums(path)
        content = read_torch_file(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: was not written by this program; foreign weights go through scenetext convert")
    version = content.get("format_version")
    if type(version) is not int or version > FORMAT_VERSION:
        raise CheckpointError(f"{path}: has format {version!r:.40}, this version reads {FORMAT_VERSION}")
    return content


def _read_model(path: Path) -> dict[str, Any] | None:
    """A model file as the content of a checkpoint; None = weights without a description of their model."""
    described = read_description(path)
    if described is None:
        return None
    if not isinstance(described, dict):
        raise CheckpointError(f"{path}: is damaged: its description is no JSON object")
    weights = {
        name: value.float() if value.is_floating_point() else value
        for name, value in read_weights(path).tensors.items()
    }
    return {**described, "model": weights}


def check_sums(path: Path) -> None:
    """Compares every part of a file that `torch.save` wrote with its CRC-32, which `torch.load` leaves unread.

    What is no archive is left to `read_torch_file`, which has more to say about it.

    Raises:
        CheckpointError: a part is not what was written.
    """
    if path.is_dir():
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except zipfile.BadZipFile:
        return
    except (EOFError, NotImplementedError, RuntimeError, ValueError, struct.error, zlib.error) as error:
        raise CheckpointError(f"{path}: is damaged ({error})") from None
    if damaged is not None:
        raise CheckpointError(f"{path}: is damaged: {damaged} in it is not what was written")


def checkpoint_path(run_folder: Path, step: int) -> Path:
    """Where the checkpoint after `step` training steps lies."""
    return run_folder / "checkpoints" / f"step_{step:08d}.pt"


def checkpoints_of(run_folder: Path) -> list[Path]:
    """All step checkpoints of a run, oldest first."""
    return sorted((run_folder / "checkpoints").glob("step_*.pt"))


def load_latest_checkpoint(run_folder: Path) -> tuple[Path, dict[str, Any], list[str]]:
    """The newest readable checkpoint of a run: its path, its content, and what was wrong with newer ones.

    Raises:
        CheckpointError: there is none, or none can be read.
    """
    problems: list[str] = []
    for path in reversed(checkpoints_of(run_folder)):
        try:
            return path, load_checkpoint(path), problems
        except CheckpointError as error:
            problems.append(str(error))
    listed = "".join(f"\n  {problem}" for problem in problems)
    raise CheckpointError(f"{run_folder}: no checkpoint to resume from{listed}")


def remove_old_checkpoints(run_folder: Path, keep: int) -> None:
    """Removes all but the newest `keep` step checkpoints of a run, and what a killed process left half written."""
    for path in [*checkpoints_of(run_folder)[:-keep], *(run_folder / "checkpoints").glob("*.partial")]:
        path.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """What a run was made with; stored in checkpoints and in the run folder."""
    return {
        "scenetext": scenetext.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
