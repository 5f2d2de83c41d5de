"""Mask TextSpotter v3 in the names, shapes and types of its published code, to scenetext checkpoints and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from command_process import run_tool
from golden import golden_json
from scenetext.conversion.detectors import empty_weights
from scenetext.conversion.mask_textspotter import (
    PUBLISHED,
    convert_from_mask_textspotter,
    convert_to_mask_textspotter,
    published_names,
)
from scenetext.conversion.textbpn import convert_from_textbpn
from scenetext.encoders.resnet import ResNet, ResNetSettings
from scenetext.errors import CheckpointError, ConfigError
from scenetext.runs.settings import DetectionRun, load_run

WORDS = ("mask_textspotter", "totaltext", "resnet50")
NARROW = (
    *("detector.pyramid_channels=16", "detector.fusion_channels=4", "detector.box_channels=16"),
    *("detector.masks.channels=16", "detector.reading.channels=16"),
)
"""The same layers of fewer channels, which are quicker to make."""
OFFSETS = "roi_heads.box.predictor.bbox_pred."
KEYS = "keys_mask_textspotter_v3.json"
FIRST = "backbone.body.stem.conv1.weight"


def run_of(*words: str) -> DetectionRun[Any, Any]:
    run = load_run(words, DetectionRun)
    assert isinstance(run, DetectionRun)
    return run


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """A narrow model under the published names; a tensor repeats one random number, but for those that are turned."""
    generator = torch.Generator().manual_seed(0)
    own = empty_weights(run_of(*PUBLISHED, *WORDS, *NARROW))
    found = {}
    for name, foreign in published_names(own, run_of(*PUBLISHED, *WORDS)).items():
        shape = list(own[name].shape)
        shape[:1] = [8] if foreign.startswith(OFFSETS) else shape[:1]
        is_turned = foreign == FIRST or foreign.startswith(OFFSETS)
        value = torch.rand(shape if is_turned else (), generator=generator)
        found[foreign] = value.expand(shape) if own[name].is_floating_point() else torch.full(shape, 5)
    return found


def test_names_shapes_and_types_are_the_published_ones() -> None:
    run = run_of(*PUBLISHED, *WORDS)
    own = empty_weights(run)
    found = {foreign: own[name] for name, foreign in published_names(own, run).items()}
    wanted = {name: (list(shape), kind) for name, shape, kind in golden_json("spotting", KEYS)}
    assert {
        name: ([8, *value.shape[1:]] if name.startswith(OFFSETS) else list(value.shape), str(value.dtype)[6:])
        for name, value in found.items()
    } == wanted


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, published: dict[str, Tensor]) -> Path:
    """As the published code saves it: behind `module.`, beside its optimiser."""
    path = tmp_path_factory.mktemp("published") / "model.pth"
    named = {f"module.{name}": value for name, value in published.items()}
    torch.save({"model": named, "optimizer": {"state": {}}, "iteration": 250000}, path)
    return path


def test_a_published_file_converts_and_comes_back_the_same(
    tmp_path: Path, published: dict[str, Tensor], file: Path
) -> None:
    there = run_tool("convert", "from-mask-textspotter", file, tmp_path / "own.pt", *WORDS, *NARROW)
    assert there.returncode == 0, there.stderr
    assert "computes as published, unless overridden: " in there.stdout
    assert "mapped: 338 tensors" in there.stdout
    assert "under CC BY-NC 4.0, for non-commercial use alone" in there.stdout
    content = torch.load(tmp_path / "own.pt", weights_only=True)
    assert content["config"]["detector"]["published"]
    assert content["config"]["encoder"]["pixel_mean"][2] == pytest.approx(102.9801 / 255)
    weights = content["model"]
    torch.testing.assert_close(weights["encoder.conv1.weight"], published[FIRST].flip(1), msg="reads RGB, not BGR")
    torch.testing.assert_close(weights["head.later.boxes.offset.weight"], published[f"{OFFSETS}weight"][4:])
    convert_to_mask_textspotter(tmp_path / "own.pt", tmp_path / "again.pth")
    again = torch.load(tmp_path / "again.pth", weights_only=True)["model"]
    assert again.keys() == published.keys()
    for name, value in published.items():
        wanted = torch.cat((torch.zeros_like(value[:4]), value[4:])) if name.startswith(OFFSETS) else value
        assert again[name].dtype == value.dtype, name
        assert torch.equal(again[name], wanted), name


def test_an_encoder_starts_from_such_a_file(file: Path) -> None:
    lines = ResNet(ResNetSettings(depth=50, bottleneck_stride="1x1", weights=file)).load_weights()
    assert any("from Mask TextSpotter v3 of its authors" in line for line in lines), lines
    assert any("turned to red, green, blue" in line for line in lines)
    assert any("trained with encoder.pixel_mean=" in line for line in lines), "the run has ImageNet's"


def test_what_does_not_fit_is_refused_with_a_list(tmp_path: Path, file: Path) -> None:
    target = tmp_path / "own.pt"
    small = run_of(*PUBLISHED, *WORDS, *NARROW, "detector.alphabet=0123456789", "detector.pyramid_channels=64")
    with pytest.raises(CheckpointError, match=r"backbone\.fpn\.fpn_inner1\.weight"):
        convert_from_mask_textspotter(file, target, small)
    with pytest.raises(ConfigError, match="dbnet cannot be converted: it is none of Mask TextSpotter v3's authors"):
        convert_from_mask_textspotter(file, target, run_of("dbnet", "totaltext", "resnet50"))
    with pytest.raises(CheckpointError, match="holds Mask TextSpotter v3 of its authors, expected a detector of Text"):
        convert_from_textbpn(file, target, run_of(*WORDS))
    assert not target.exists()


def test_one_converter_does_not_take_the_spotter_of_other_authors(tmp_path: Path) -> None:
    """Both have a `published.py`."""
    tensors = {"fpn.backbone.stage1.0.weight": torch.zeros(64, 3, 7, 7)}
    torch.save({"model": tensors}, tmp_path / "a.pth")
    with pytest.raises(ConfigError, match="mask_textspotter cannot be converted: it is none of TextBPN's authors"):
        convert_from_textbpn(tmp_path / "a.pth", tmp_path / "b.pt", run_of(*WORDS))
