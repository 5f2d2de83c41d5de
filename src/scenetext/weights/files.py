"""Reading and writing weight files: safetensors, and torch archives as tensors only."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from scenetext.errors import CheckpointError

_STATE_KEYS = ("model", "state_dict")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a weight file, on the CPU.

    Reads safetensors, a bare state dict saved by torch, or a checkpoint that holds one under "model" (ours) or
    "state_dict" (published ones). A prefix "module." that every key shares (distributed training) is removed.

    Raises:
        CheckpointError: the file is missing, damaged, would need code to run, or holds no tensors.
    """
    content: Any = _read_safetensors(path) if path.suffix == ".safetensors" else read_torch_file(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds {type(content).__name__}, expected named tensors")
    for key in _STATE_KEYS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{path}: holds no named tensors")
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes tensors with text metadata to a temporary file and renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    save_file({name: value.contiguous() for name, value in tensors.items()}, temporary, dict(metadata))
    temporary.replace(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as archive:
            return {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors ({error})") from None


def read_torch_file(path: Path) -> Any:
    """Content of a file written by `torch.save`, tensors on the CPU; only tensors and plain data are let through.

    Raises:
        CheckpointError: the file is missing, damaged, or holds anything that could execute code.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path}: is damaged, or holds more than weights and plain data ({first_line})") from None
