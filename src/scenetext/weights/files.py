"""Reading and writing weight files: safetensors, torch files as tensors only, TorchScript archives as weights only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from scenetext.errors import CheckpointError
from scenetext.weights.mmocr import WRAPPER
from scenetext.weights.torchscript import is_torchscript, read_torchscript

_STATE_KEYS = ("model", "state_dict")
_AROUND_MODELS = ("module.", WRAPPER)
"""Prefixes of every name of a model: of distributed training, and of MMDetection's models in MMOCR."""


@dataclass(frozen=True, eq=False)
class WeightFile:
    """What a weight file holds.

    Attributes:
        path: the file.
        tensors: on the CPU, by name.
        others: entries that are no weights of the model, such as epoch and optimizer; dropped.
        stored: what a scenetext file says of its model: the settings of a checkpoint's run, or the metadata of
            safetensors; empty where there are none. Not checked.
    """

    path: Path
    tensors: dict[str, Tensor]
    others: tuple[str, ...]
    stored: Mapping[str, Any] = field(default_factory=dict)


def read_weights(path: Path) -> WeightFile:
    """Named tensors of a weight file, on the CPU; nothing in the file can execute.

    Reads safetensors, TorchScript archives, a bare state dict saved by torch, or a checkpoint that holds one under
    "model" (scenetext) or "state_dict" (published ones). Prefixes of distributed training and of
    MMOCR's wrapper that every key shares are removed.

    Raises:
        CheckpointError: the file is missing, damaged, would need code to run, or holds no tensors.
    """
    content = _read_content(path)
    stored = _read_metadata(path) if path.suffix == ".safetensors" else {}
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds {type(content).__name__}, expected named tensors")
    others: list[str] = []
    for key in _STATE_KEYS:
        if isinstance(content.get(key), Mapping):
            stored = content["config"] if isinstance(content.get("config"), Mapping) else stored
            others = [str(name) for name in content if name != key]
            content = content[key]
            break
    named = ((name, value) for name, value in content.items() if isinstance(name, str))
    tensors = {name: value.detach() for name, value in named if isinstance(value, Tensor)}
    others += [str(name) for name in content if name not in tensors]
    if not tensors:
        raise CheckpointError(f"{path}: holds no named tensors")
    for prefix in _AROUND_MODELS:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return WeightFile(path, tensors, tuple(others), stored)


def _read_content(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return read_torchscript(path) if is_torchscript(path) else read_torch_file(path)


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes tensors with text metadata to a temporary file and renames it.

    Raises:
        CheckpointError: the file cannot be written, or `path` does not end in .safetensors, by which such files are
            recognised when they are read; an older file at `path` stays as it was.
    """
    if path.suffix != ".safetensors":
        raise CheckpointError(f"{path}: is to hold safetensors; choose a name that ends in .safetensors")
    # The format knows no shared memory, so every tensor is copied out of what it may share.
    separate = {name: value.clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    _write_whole(path, lambda temporary: save_file(separate, temporary, dict(metadata)))


def write_torch_file(path: Path, content: Mapping[str, Any]) -> None:
    """Writes tensors and plain data as `torch.save` does, to a temporary file beside `path` that is then renamed.

    Raises:
        CheckpointError: the file cannot be written (disk full, no permission); an older file at `path` stays as it was.
    """

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            torch.save(dict(content), stream)

    _write_whole(path, write)


def _write_whole(path: Path, write: Callable[[Path], None]) -> None:
    temporary = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written: {error}") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as archive:
            return {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors ({error})") from None


def _read_metadata(path: Path) -> dict[str, Any]:
    """The text metadata of a safetensors file, with numbers and lists where it has them as JSON."""
    with safe_open(path, framework="pt") as archive:
        metadata: Mapping[str, str] = archive.metadata() or {}
    return {name: _parsed(text) for name, text in metadata.items()}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_torch_file(path: Path) -> Any:
    """Content of a file written by `torch.save`, tensors on the CPU; only tensors and plain data are let through.

    Raises:
        CheckpointError: the file is missing, damaged, or holds anything that could execute code.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # bytes from anywhere can raise anything; each means that these are no weights
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path}: is damaged, or holds more than weights and plain data ({first_line})") from None
