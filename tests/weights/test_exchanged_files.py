"""Files that are no checkpoints where one is expected, and the other way round: named in words of our own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from scenetext.config import read_config
from scenetext.data.records.images import write_image
from scenetext.errors import CheckpointError, ConfigError
from scenetext.training.checkpoint import load_checkpoint
from scenetext.weights.files import read_weights

BAD_ADVICE = ("trust", "weights_only", "allowlist", "\x1b", "torch.load", "unpickl")


def run_folder(path: Path) -> None:
    path.mkdir()
    (path / "best.pt").touch()


def image(path: Path) -> None:
    write_image(path.with_suffix(".png"), np.zeros((8, 8, 3), np.uint8))
    path.with_suffix(".png").rename(path)


CONTENTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "image": (image, "is a PNG image, expected a checkpoint"),
    "config": (lambda path: path.write_text("training: {steps: 3}\n"), "is a text file, expected a checkpoint"),
    "records": (lambda path: path.write_text('{"path": "a.jpg"}\n'), "is a JSON file, expected a checkpoint"),
    "empty": (Path.touch, "is an empty file, expected a checkpoint"),
    "missing": (lambda path: None, "cannot be read .No such file"),
    "folder": (Path.mkdir, "is a folder, expected a checkpoint"),
    "run folder": (run_folder, r"is a run folder; name its .*best\.pt, expected a checkpoint"),
    "objects": (
        lambda path: torch.save({"model": {"a": torch.zeros(1)}, "args": argparse.Namespace(a=1)}, path),
        r"holds more than weights and plain data \(argparse\.Namespace\), .* could run code\. .*model\.state_dict\(\)",
    ),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("read", [read_weights, load_checkpoint])
def test_what_is_no_checkpoint_is_named_in_one_line(name: str, read: Callable[[Path], object], tmp_path: Path) -> None:
    write, message = CONTENTS[name]
    path = tmp_path / "file.pt"
    write(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert not any(words in str(caught.value) for words in BAD_ADVICE)


def test_a_checkpoint_is_no_config(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(ConfigError, match=r"run\.yaml: is a zip archive, as checkpoints .* are, expected a config"):
        read_config(path)
