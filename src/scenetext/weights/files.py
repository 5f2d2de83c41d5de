"""Reading and writing weight files: safetensors, torch files as tensors only, TorchScript archives as weights only."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from scenetext.errors import CheckpointError, kind_of_file
from scenetext.weights.torchscript import is_torchscript, read_torchscript
from scenetext.weights.wrappers import find_weights, strip_added_parts

DESCRIPTION = "scenetext model"
"""Key of a model file's metadata: what a checkpoint holds besides the weights, as JSON."""
_FORBIDDEN = re.compile(r"GLOBAL ([\w.]+)")
"""In torch's message: the class or function that a file asks for."""


@dataclass(frozen=True, eq=False)
class WeightFile:
    """What a weight file holds.

    Attributes:
        path: the file.
        tensors: on the CPU, by name.
        others: entries that are no weights of the model, such as epoch and optimizer; dropped.
        around: what lay around the weights: keys of the mappings that held them, and parts of names that were removed.
        stored: what a scenetext file says of its model: the settings of a checkpoint's run, or the metadata of
            safetensors; empty where there are none. Not checked.
    """

    path: Path
    tensors: dict[str, Tensor]
    others: tuple[str, ...]
    stored: Mapping[str, Any] = field(default_factory=dict)
    around: tuple[str, ...] = ()

    @property
    def remarks(self) -> list[str]:
        """What was found around the weights, a line, where it is more than one of the usual keys."""
        usual = self.around in ((), ("model",), ("state_dict",))
        return [] if usual else [f"around the weights, removed: {', '.join(self.around)}"]


def read_weights(path: Path) -> WeightFile:
    """Named tensors of a weight file, on the CPU; nothing in the file can execute.

    Reads safetensors, TorchScript archives, a bare state dict saved by torch, or a checkpoint of any program that holds
    one (`wrappers.find_weights`). What distributed training or compilation adds to names is removed.

    Raises:
        CheckpointError: the file is missing, damaged, would need code to run, or holds no tensors.
    """
    content = _read_content(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds {type(content).__name__}, expected named tensors")
    stored = _read_metadata(path) if path.suffix == ".safetensors" else {}
    if isinstance(stored.get(DESCRIPTION), Mapping):
        stored = stored[DESCRIPTION].get("config") or {}
    try:
        tensors, keys, others = find_weights(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if keys and isinstance(content.get("config"), Mapping):
        stored = content["config"]
    tensors, parts = strip_added_parts(tensors)
    return WeightFile(path, tensors, others, stored, (*keys, *parts))


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
    with _opened(path) as archive:
        return {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118 (not a mapping)


def read_description(path: Path) -> Any:
    """What a model file says of its model, not checked; None where safetensors say nothing.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    return _read_metadata(path).get(DESCRIPTION)


def _read_metadata(path: Path) -> dict[str, Any]:
    """The text metadata of a safetensors file, with numbers and lists where it has them as JSON."""
    with _opened(path) as archive:
        metadata: Mapping[str, str] = archive.metadata() or {}
    return {name: _parsed(text) for name, text in metadata.items()}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A safetensors file to read from, with what is wrong with it as a `CheckpointError`."""
    try:
        with safe_open(path, framework="pt") as archive:
            yield archive
    except (OSError, SafetensorError) as error:
        reason = f"{error}" if path.is_file() else "there is no such file"
        raise CheckpointError(f"{path}: cannot be read as safetensors ({reason})") from None


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
    if path.is_dir():
        raise CheckpointError(f"{path}: is {kind_of_file(path)}, expected a checkpoint")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # bytes from anywhere can raise anything; each means that these are no weights
        raise CheckpointError(f"{path}: {_unreadable(path, str(error))}") from None


def _unreadable(path: Path, torchs_words: str) -> str:
    """Why `torch.load` refused a file, in words of our own: torch's advise to load it unsafely."""
    if (found := _FORBIDDEN.search(torchs_words)) is not None:
        return (
            f"holds more than weights and plain data ({found[1]}), and reading that could run code. Where the file was "
            "made, save the weights alone: torch.save(model.state_dict(), FILE)"
        )
    kind = kind_of_file(path)
    if "checkpoint" in kind:
        return "is damaged, or holds more than weights and plain data"
    return f"is {kind}, expected a checkpoint"
