"""Detectors of TextBPN's and TextBPN++'s authors to scenetext checkpoints and back, in the layouts of their models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from command_process import run_tool
from golden import golden_json
from scenetext.conversion.textbpn import convert_from_textbpn, convert_to_textbpn, published_settings
from scenetext.encoders.resnet import ResNet, ResNetSettings
from scenetext.errors import CheckpointError, ConfigError
from scenetext.inference import TextDetector
from scenetext.runs.kinds import build_detection_task
from scenetext.runs.settings import DetectionRun, load_run
from scenetext.weights.textbpn import UNUSED

MODELS = {
    "TextBPN resnet50": "textbpn ctw1500 resnet50",
    "TextBPN++ resnet50 scale 1": "textbpnpp totaltext resnet50",
    "TextBPN++ resnet18 scale 4": "textbpnpp totaltext resnet18",
    "TextBPN++ deformable_resnet50 scale 1": "textbpnpp totaltext dcnv2",
}


def run_of(words: str, *settings: str) -> DetectionRun[Any, Any]:
    run = load_run([*words.split(), *settings], DetectionRun)
    assert isinstance(run, DetectionRun)
    return run


def published_layout(name: str) -> dict[str, Tensor]:
    """Names, shapes and types of a model; every tensor repeats one random number, so that files are small."""
    generator = torch.Generator().manual_seed(0)
    return {
        key: (torch.rand((), generator=generator) if kind == "float32" else torch.tensor(index)).expand(shape)
        for index, (key, shape, kind) in enumerate(golden_json("textbpn", "state_dict_keys.json")[name]["keys"])
    }


def write(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save({"lr": 1e-4, "epoch": 300, "model": tensors}, path)
    return path


@pytest.mark.parametrize("name", MODELS)
def test_published_layouts_convert_and_come_back_the_same(tmp_path: Path, name: str) -> None:
    tensors = published_layout(name)
    own = {key for key in tensors if key in UNUSED and not ("up2" in key and "scale 4" not in name)}
    there = convert_from_textbpn(write(tmp_path / "a.pth", tensors), tmp_path / "converted.pt", run_of(MODELS[name]))
    assert there.mapped == len(tensors) - len(own)
    assert set(there.dropped) == {"lr", "epoch", *own}
    convert_to_textbpn(tmp_path / "converted.pt", tmp_path / "again.pth")
    again = torch.load(tmp_path / "again.pth", weights_only=True)
    assert again.keys() == {"lr", "epoch", "model"}
    assert again["model"].keys() == tensors.keys()
    for key, value in tensors.items():
        assert again["model"][key].dtype == value.dtype, key
        assert torch.equal(again["model"][key], torch.zeros_like(value) if key in own else value), key


@pytest.mark.parametrize("name", MODELS)
def test_full_models_have_the_published_number_of_parameters(name: str) -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in build_detection_task(run_of(MODELS[name])).parameters())
    unused = sum(value.numel() for key, value in published_layout(name).items() if key in UNUSED)
    used = 0 if "scale 4" in name else UNUSED_STEM
    published = golden_json("textbpn", "state_dict_keys.json")[name]["parameters"]
    assert count == published - unused + used


UNUSED_STEM = 64 * 64 * 16 + 64
"""Parameters of the layer that enlarges the stem, which is used where the stride is below 4."""


def test_an_encoder_starts_from_such_a_model(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pth", published_layout("TextBPN++ deformable_resnet50 scale 1"))
    settings = ResNetSettings(depth=50, deformable_stages=(2, 3, 4), weights=path)
    lines = ResNet(settings).load_weights()
    assert any("from a detector of TextBPN's authors" in line for line in lines), lines


def test_what_does_not_fit_is_refused_with_a_list(tmp_path: Path) -> None:
    source = write(tmp_path / "a.pth", published_layout("TextBPN++ resnet50 scale 1"))
    target = tmp_path / "converted.pt"
    with pytest.raises(CheckpointError, match=r"encoder\.depth: 50 in the file, 18 in the settings"):
        convert_from_textbpn(source, target, run_of("textbpnpp totaltext resnet18"))
    with pytest.raises(CheckpointError, match=r"missing from the file: BPN\.evolve_gcn0\.rnn"):
        convert_from_textbpn(source, target, run_of("textbpn totaltext resnet50"))
    with pytest.raises(CheckpointError, match=r"unknown to the model: fpn\.merge2\.deconv"):
        convert_from_textbpn(source, target, run_of("textbpnpp totaltext resnet50", "detector.stride=4"))
    with pytest.raises(ConfigError, match="dbnet cannot be converted: it is none of TextBPN's authors"):
        convert_from_textbpn(source, target, run_of("dbnet totaltext resnet50"))
    with pytest.raises(ConfigError, match="no encoder like this clip_resnet"):
        convert_from_textbpn(source, target, run_of("textbpnpp totaltext oclip", "encoder.weights=null"))
    assert not target.exists()


def test_published_settings_are_known() -> None:
    assert published_settings("textbpn") == ("detector.decoding.distance_reference=largest",)
    assert published_settings("textbpnpp") == ("detector.attention=proposals",)
    with pytest.raises(ConfigError, match="psenet cannot be converted"):
        published_settings("psenet")


def test_commands_convert_and_the_result_detects(tmp_path: Path) -> None:
    source = write(tmp_path / "published.pth", published_layout("TextBPN++ resnet18 scale 4"))
    there = run_tool("convert", "from-textbpn", source, tmp_path / "own.pt", "textbpnpp", "totaltext", "resnet18")
    assert there.returncode == 0, there.stderr
    assert "computes as published, unless overridden: detector.attention=proposals" in there.stdout
    back = run_tool("convert", "to-textbpn", tmp_path / "own.pt", tmp_path / "back.pth")
    assert back.returncode == 0, back.stderr
    assert "lr and epoch are written as 0" in back.stdout
    detector = TextDetector.load(tmp_path / "own.pt", "cpu")
    assert detector.task.config.attention == "proposals"
    assert isinstance(detector(np.full((64, 64, 3), 120, np.uint8)), list)
