"""Published TCM detectors to scenetext's and back, in their full layouts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from command_process import run_tool
from golden import golden_json
from scenetext.conversion.detectors import convert_to_mmocr_detector
from scenetext.conversion.tcm import convert_from_tcm, convert_to_tcm
from scenetext.encoders.clip_image import ClipResNetSettings
from scenetext.errors import CheckpointError, ConfigError
from scenetext.runs.build import build_task
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import DetectionRun, check_run
from scenetext.tasks.detection import DetectionTask
from scenetext.training.checkpoint import save_checkpoint
from weight_layouts import SMALL, randomised

LAYOUTS = {"keys_TCM_DBNet": {}, "keys_TCM_DBNet_v2": {"fast": True}}
"""Published layout -> what differs from our defaults."""
SMALL_TCM: dict[str, Any] = {
    **SMALL,
    "pool_heads": 4,
    "input_size": 64,
    "embed_dim": 24,
    "text": {"width": 16, "heads": 2, "layers": 1},
    "decoder": {"width": 16, "heads": 2, "layers": 2},
}


def detection_run(detector: str = "dbnet", **encoder: Any) -> DetectionRun[Any, Any]:
    values = {
        "kind": "detection",
        "encoder": {"name": "tcm", **encoder},
        "detector": {"name": detector},
        "data": {"train": ["none.jsonl"], "validation": ["none.jsonl"]},
        "training": {"steps": 1, "evaluate_every": 1},
    }
    run = check_run(values, "test")
    assert isinstance(run, DetectionRun)
    return run


def layout(name: str) -> dict[str, Tensor]:
    """A published model with random numbers."""
    generator = torch.Generator().manual_seed(0)
    shapes = golden_json("tcm", f"{name}.json")["shapes"]
    return {
        key: torch.rand(one["shape"], generator=generator) if one["dtype"] == "float32" else torch.tensor(index)
        for index, (key, one) in enumerate(shapes.items())
    }


def write(path: Path, tensors: dict[str, Tensor]) -> Path:
    torch.save({"meta": {"epoch": 1200}, "state_dict": tensors}, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_published_layouts_convert_and_come_back_the_same(tmp_path: Path, name: str) -> None:
    tensors = layout(name)
    run = detection_run(**LAYOUTS[name])
    there = convert_from_tcm(write(tmp_path / "published.pth", tensors), tmp_path / "converted.pt", run)
    assert there.mapped == len(tensors)
    assert there.dropped == ("meta",)
    back = convert_to_tcm(tmp_path / "converted.pt", tmp_path / "again.pth")
    assert back.mapped == len(tensors)
    again = torch.load(tmp_path / "again.pth", weights_only=True)["state_dict"]
    assert set(again) == set(tensors)
    if "pix_w" in tensors:
        assert "pix_w is (1024, 512), with which the published code cannot run" in str(there)
        assert torch.equal(again.pop("pix_w"), torch.eye(1024))
        del tensors["pix_w"]
    for key, value in tensors.items():
        assert again[key].dtype == value.dtype, key
        assert torch.equal(again[key], value), key


@pytest.mark.parametrize("name", LAYOUTS)
def test_our_full_size_model_has_the_published_shapes(name: str) -> None:
    with torch.device("meta"):
        task = build_task(detection_run(**LAYOUTS[name]))
    published = golden_json("tcm", f"{name}.json")["parameters"]["total"]
    count = sum(parameter.numel() for parameter in task.parameters())
    assert count - published == (1024 * 1024 - 1024 * 512 if "v2" in name else 0), "the square projection, if any"


def small_detector(path: Path, **encoder: Any) -> tuple[DetectionTask, DetectionRun[Any, Any]]:
    run = detection_run(**SMALL_TCM, **encoder)
    task = build_task(run)
    assert isinstance(task, DetectionTask)
    task.load_state_dict(randomised(task))
    description = {"kind": "detection", "config": run.model_dump(mode="json"), "step": 9}
    save_checkpoint(path, {**description, "model": task.state_dict()})
    return task.eval(), run


@pytest.mark.parametrize("encoder", [{}, {"fast": True}, {"visual_prompt": False, "language_prompt": False}])
@torch.no_grad()
def test_converted_detector_computes_the_same(tmp_path: Path, encoder: dict[str, Any]) -> None:
    task, run = small_detector(tmp_path / "converted.pt", **encoder)
    convert_to_tcm(tmp_path / "converted.pt", tmp_path / "tcm.pth")
    convert_from_tcm(tmp_path / "tcm.pth", tmp_path / "back.pt", run)
    again, read, content = load_trained_task(tmp_path / "back.pt", DETECTION)
    assert (read, content["step"]) == (run, 0)
    assert isinstance(again, DetectionTask)
    images = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    first, second = task.maps(images), again.eval().maps(images)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_shorter_prompts_take_the_first_positions_and_longer_ones_are_refused(tmp_path: Path) -> None:
    small_detector(tmp_path / "converted.pt")
    convert_to_tcm(tmp_path / "converted.pt", tmp_path / "tcm.pth")
    conversion = convert_from_tcm(
        tmp_path / "tcm.pth", tmp_path / "short.pt", detection_run(**SMALL_TCM, prompts=["text."])
    )
    assert "of 18 positions of text the first 8" in str(conversion)
    load_trained_task(tmp_path / "short.pt", DETECTION)
    longer = detection_run(**SMALL_TCM, prompts=["a set of arbitrary-shape text instances, and of many other things."])
    with pytest.raises(CheckpointError, match="18 positions of text, the run's prompts need 23"):
        convert_from_tcm(tmp_path / "tcm.pth", tmp_path / "long.pt", longer)


def test_what_does_not_fit_is_refused_with_its_names(tmp_path: Path) -> None:
    _, run = small_detector(tmp_path / "converted.pt")
    convert_to_tcm(tmp_path / "converted.pt", tmp_path / "tcm.pth")
    with pytest.raises(CheckpointError, match=r"of another shape: contexts: file \(1, 4, 16\), model \(1, 2, 16\)"):
        convert_from_tcm(tmp_path / "tcm.pth", tmp_path / "x.pt", detection_run(**SMALL_TCM, learnable_prompts=2))
    with pytest.raises(CheckpointError, match="unknown to the model: .*vis_gamma"):
        convert_from_tcm(tmp_path / "tcm.pth", tmp_path / "x.pt", detection_run(**SMALL_TCM, visual_prompt=False))
    with pytest.raises(CheckpointError, match="holds a scenetext detector with TCM, expected a published TCM detector"):
        convert_from_tcm(tmp_path / "converted.pt", tmp_path / "x.pt", run)
    with pytest.raises(ConfigError, match="convert by to-tcm"):
        convert_to_mmocr_detector(tmp_path / "converted.pt", tmp_path / "x.pth")
    plain = run.model_copy(update={"encoder": ClipResNetSettings(**SMALL)})
    with pytest.raises(ConfigError, match="the run's encoder is clip_resnet, expected tcm"):
        convert_from_tcm(tmp_path / "tcm.pth", tmp_path / "x.pt", plain)


def test_commands_convert_both_ways(tmp_path: Path) -> None:
    _, run = small_detector(tmp_path / "converted.pt")
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(run.model_dump(mode="json")))
    for arguments in (("to-tcm", "converted.pt", "tcm.pth"), ("from-tcm", "tcm.pth", "back.pt", "small.yaml")):
        done = run_tool("convert", arguments[0], *(tmp_path / name for name in arguments[1:]))
        assert done.returncode == 0, done.stderr
    assert "pixel statistics are no part of such a file" in done.stdout
    load_trained_task(tmp_path / "back.pt", DETECTION)
