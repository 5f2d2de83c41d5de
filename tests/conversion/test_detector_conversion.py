"""Checkpoints of MMOCR's detectors to scenetext's and back, in the layouts of published configurations."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from command_process import run_tool
from golden import golden_json
from scenetext.conversion.detectors import (
    MMOCR_NORMALIZATION,
    convert_from_mmocr_detector,
    convert_to_mmocr_detector,
    mmocr_names,
)
from scenetext.data.records.images import write_image
from scenetext.errors import CheckpointError, ConfigError
from scenetext.inference import TextDetector
from scenetext.runs.build import build_task
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import DetectionRun, check_run, load_run
from scenetext.tasks.detection import DetectionTask
from scenetext.training.checkpoint import save_checkpoint
from weight_layouts import SMALL, randomised

OCLIP = {"name": "clip_resnet"}
RESNET_18 = {"name": "resnet", "depth": 18}
RESNET_50 = {"name": "resnet", "depth": 50}
DEFORMABLE = {**RESNET_50, "deformable_stages": [2, 3, 4]}

PUBLISHED = {
    "dbnet_resnet18_fpnc_1200e_icdar2015": "dbnet icdar2015 resnet18",
    "dbnet_resnet50_1200e_icdar2015": "dbnet icdar2015 resnet50",
    "dbnet_resnet50-dcnv2_fpnc_1200e_icdar2015": "dbnet icdar2015 dcnv2",
    "dbnet_resnet50-oclip_1200e_icdar2015": "dbnet icdar2015 oclip",
    "dbnetpp_resnet50_fpnc_1200e_icdar2015": "dbnetpp icdar2015 resnet50",
    "dbnetpp_resnet50-dcnv2_fpnc_1200e_icdar2015": "dbnetpp icdar2015 dcnv2",
    "dbnetpp_resnet50-oclip_fpnc_1200e_icdar2015": "dbnetpp icdar2015 oclip",
    "psenet_resnet50_fpnf_600e_icdar2015": "psenet icdar2015 resnet50",
    "psenet_resnet50-oclip_fpnf_600e_icdar2015": "psenet icdar2015 oclip",
    "panet_resnet18_fpem-ffm_600e_icdar2015": "pan icdar2015 resnet18",
    "panet_resnet50_fpem-ffm_600e_icdar2017": "pan icdar2015 resnet50",
    "fcenet_resnet50-oclip_fpn_1500e_icdar2015": "fcenet icdar2015 oclip",
    "fcenet_resnet50-oclip_fpn_1500e_ctw1500": "fcenet ctw1500 oclip",
    "fcenet_resnet50-dcnv2_fpn_1500e_ctw1500": "fcenet ctw1500 dcnv2",
    "textsnake_resnet50-oclip_fpn-unet_1200e_ctw1500": "textsnake ctw1500 oclip",
    "drrg_resnet50-oclip_fpn-unet_1200e_ctw1500": "drrg ctw1500 oclip",
    "mask-rcnn_resnet50-oclip_fpn_160e_ctw1500": "maskrcnn ctw1500 oclip",
}
"""Published configuration -> our configs; a new detector adds a line for each of its own."""


def published_run(name: str) -> DetectionRun[Any, Any]:
    run = load_run(PUBLISHED[name].split(), DetectionRun)
    assert isinstance(run, DetectionRun)
    return run


def detection_run(encoder: dict[str, Any], detector: dict[str, Any], **others: Any) -> DetectionRun[Any, Any]:
    values = {
        "kind": "detection",
        "encoder": encoder,
        "detector": detector,
        "data": {"train": ["none.jsonl"], "validation": ["none.jsonl"]},
        "training": {"steps": 1, "evaluate_every": 1},
        **others,
    }
    run = check_run(values, "test")
    assert isinstance(run, DetectionRun)
    return run


def published_layout(name: str) -> dict[str, Tensor]:
    """Names, shapes and types of a published model; every tensor repeats one random number, so that files are small."""
    layout = golden_json("detectors", "state_dict_keys.json")[name]
    generator = torch.Generator().manual_seed(0)
    (entries,) = (value for value in layout.values() if isinstance(value, list))
    return {
        key: (torch.rand((), generator=generator) if kind == "float32" else torch.tensor(index)).expand(shape)
        for index, (key, shape, kind) in enumerate(entries)
    }


def old_layout(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same in the names of MMOCR 0.x."""
    return {key.replace("det_head.", "bbox_head."): value for key, value in tensors.items()}


def write(path: Path, tensors: dict[str, Tensor], **others: Any) -> Path:
    torch.save({"meta": {"epoch": 1200}, "state_dict": tensors, **others}, path)
    return path


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_layouts_convert_and_come_back_the_same(tmp_path: Path, name: str) -> None:
    tensors = published_layout(name)
    there = convert_from_mmocr_detector(
        write(tmp_path / "mmocr.pth", tensors), tmp_path / "converted.pt", published_run(name)
    )
    assert there.mapped == len(tensors)
    assert there.dropped == ("meta",)
    back = convert_to_mmocr_detector(tmp_path / "converted.pt", tmp_path / "again.pth")
    assert back.mapped == len(tensors)
    same(torch.load(tmp_path / "again.pth", weights_only=True)["state_dict"], tensors)


def test_every_value_of_a_published_layout_survives(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    name = "dbnet_resnet18_fpnc_1200e_icdar2015"
    tensors = {
        key: torch.rand(value.shape, generator=generator) if value.is_floating_point() else value
        for key, value in published_layout(name).items()
    }
    source = write(tmp_path / "mmocr.pth", old_layout(tensors))
    convert_from_mmocr_detector(source, tmp_path / "converted.pt", published_run(name))
    convert_to_mmocr_detector(tmp_path / "converted.pt", tmp_path / "again.pth")
    same(torch.load(tmp_path / "again.pth", weights_only=True)["state_dict"], tensors)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_number_of_parameters_is_the_published_one(name: str) -> None:
    run = published_run(name)
    with torch.device("meta"):
        task = build_task(run)
    published = golden_json("detectors", "state_dict_keys.json")[name]
    assert sum(parameter.numel() for parameter in task.parameters()) == published["num_parameters"]


def small_run(**encoder: Any) -> DetectionRun[Any, Any]:
    detector = {"name": "dbnetpp", "inner_channels": 16, "level_channels": 8}
    sizes = {"long_side": 96, "short_side": 96}
    return detection_run({**OCLIP, **SMALL, **encoder}, detector, evaluation_transform=sizes)


def small_detector(path: Path) -> tuple[DetectionTask, DetectionRun[Any, Any]]:
    """A small DBNet++ with random weights, and its scenetext checkpoint."""
    run = small_run()
    task = build_task(run)
    assert isinstance(task, DetectionTask)
    task.load_state_dict(randomised(task))
    save_checkpoint(
        path, {"kind": "detection", "config": run.model_dump(mode="json"), "model": task.state_dict(), "step": 9}
    )
    return task, run


@pytest.mark.parametrize("version", ["1.x", "0.x"])
def test_converted_detector_computes_the_same(tmp_path: Path, version: str) -> None:
    task, run = small_detector(tmp_path / "converted.pt")
    convert_to_mmocr_detector(tmp_path / "converted.pt", tmp_path / "mmocr.pth")
    tensors = torch.load(tmp_path / "mmocr.pth", weights_only=True)["state_dict"]
    assert {key.split(".")[0] for key in tensors} == {"backbone", "neck", "det_head"}
    tensors = {f"module.{key}": value for key, value in old_layout(tensors).items()} if version == "0.x" else tensors
    convert_from_mmocr_detector(write(tmp_path / "other.pth", tensors), tmp_path / "back.pt", run)
    again, read, content = load_trained_task(tmp_path / "back.pt", DETECTION)
    assert (read, content["step"]) == (run, 0)
    assert isinstance(again, DetectionTask)
    images = torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)
    first, second = task.eval().maps(images), again.eval().maps(images)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_is_no_weight_is_dropped_and_reported(tmp_path: Path) -> None:
    _, run = small_detector(tmp_path / "converted.pt")
    convert_to_mmocr_detector(tmp_path / "converted.pt", tmp_path / "mmocr.pth")
    tensors = torch.load(tmp_path / "mmocr.pth", weights_only=True)["state_dict"]
    without = {key: value for key, value in tensors.items() if not key.endswith("num_batches_tracked")}
    more = {**without, "data_preprocessor.mean": torch.zeros(3, 1, 1), "data_preprocessor.std": torch.ones(3, 1, 1)}
    source = write(tmp_path / "more.pth", more, optimizer={"state": {}})
    conversion = convert_from_mmocr_detector(source, tmp_path / "back.pt", run)
    assert conversion.mapped == len(without)
    assert "dropped: meta (1), optimizer (1), data_preprocessor (2)" in str(conversion)
    load_trained_task(tmp_path / "back.pt", DETECTION)


def test_all_that_does_not_fit_is_listed_in_the_names_of_the_file(tmp_path: Path) -> None:
    _, run = small_detector(tmp_path / "converted.pt")
    convert_to_mmocr_detector(tmp_path / "converted.pt", tmp_path / "mmocr.pth")
    tensors = torch.load(tmp_path / "mmocr.pth", weights_only=True)["state_dict"]
    del tensors["neck.lateral_convs.2.conv.weight"]
    tensors["det_head.binarize.3.bias"] = torch.zeros(5)
    tensors["neck.out_conv.conv.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        convert_from_mmocr_detector(write(tmp_path / "odd.pth", tensors), tmp_path / "back.pt", run)
    message = str(caught.value)
    assert "missing from the file: neck.lateral_convs.2.conv.weight" in message
    assert "unknown to the model: neck.out_conv.conv.weight" in message
    assert "det_head.binarize.3.bias: file (5,), model (8,)" in message
    assert not (tmp_path / "back.pt").exists()


@pytest.mark.parametrize(
    "name",
    ["textsnake_resnet50-oclip_fpn-unet_1200e_ctw1500", "psenet_resnet50-oclip_fpnf_600e_icdar2015"],
)
def test_checkpoint_of_another_detector_is_refused_with_a_list(tmp_path: Path, name: str) -> None:
    source = write(tmp_path / "mmocr.pth", published_layout(name))
    with pytest.raises(CheckpointError) as caught:
        convert_from_mmocr_detector(source, tmp_path / "converted.pt", detection_run(OCLIP, {"name": "dbnet"}))
    fitting, *lines = str(caught.value).splitlines()[1:]
    assert "tensors fit" in fitting
    assert any("missing from the file: neck." in line or "missing from the file: det_head." in line for line in lines)
    assert any("unknown to the model: neck." in line for line in lines)


@pytest.mark.parametrize(
    ("encoder", "difference"),
    [
        (OCLIP, "encoder.name: resnet in the file, clip_resnet in the settings"),
        (RESNET_18, "encoder.depth: 50 in the file, 18 in the settings"),
        (RESNET_50, r"encoder.deformable_stages: \(2, 3, 4\) in the file, \(\) in the settings"),
        ({**DEFORMABLE, "deformable_groups": 2}, "encoder.deformable_groups: 1 in the file, 2 in the settings"),
    ],
)
def test_other_encoder_is_reported_by_its_settings(tmp_path: Path, encoder: dict[str, Any], difference: str) -> None:
    source = write(tmp_path / "mmocr.pth", published_layout("dbnet_resnet50-dcnv2_fpnc_1200e_icdar2015"))
    with pytest.raises(CheckpointError, match=difference):
        convert_from_mmocr_detector(source, tmp_path / "converted.pt", detection_run(encoder, {"name": "dbnet"}))


def test_files_that_are_no_detector_of_mmocr_are_refused(tmp_path: Path) -> None:
    _, run = small_detector(tmp_path / "converted.pt")
    with pytest.raises(CheckpointError, match="holds a scenetext detector, expected a detector of MMOCR"):
        convert_from_mmocr_detector(tmp_path / "converted.pt", tmp_path / "back.pt", run)
    with pytest.raises(CheckpointError, match=r"foreign\.pth: .*no known source"):
        convert_from_mmocr_detector(write(tmp_path / "foreign.pth", {"a": torch.zeros(1)}), tmp_path / "back.pt", run)
    with pytest.raises(CheckpointError, match="was not written by this program"):
        convert_to_mmocr_detector(tmp_path / "foreign.pth", tmp_path / "back.pth")
    with pytest.raises(CheckpointError, match="would be written over what is read"):
        convert_to_mmocr_detector(tmp_path / "converted.pt", tmp_path / "converted.pt")


def test_tcm_checkpoints_are_refused(tmp_path: Path) -> None:
    """Of MMOCR 0.x in its names, but of CLIP's image encoder under its own ones and a text encoder beside it."""
    shapes = golden_json("tcm", "keys_TCM_DBNet.json")["shapes"]
    tensors = {key: torch.zeros(()).expand(one["shape"]) for key, one in shapes.items()}
    with pytest.raises(CheckpointError, match="holds a published TCM detector, .* convert it by from-tcm"):
        convert_from_mmocr_detector(
            write(tmp_path / "tcm.pth", tensors), tmp_path / "converted.pt", detection_run(OCLIP, {"name": "dbnet"})
        )


def test_detector_without_names_says_so() -> None:
    run = small_run()
    with pytest.raises(ConfigError, match="dbnetpp cannot be converted: it has no name of MMOCR's for novelty.weight"):
        mmocr_names({"head.novelty.weight": torch.zeros(1)}, run)


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return run_tool(Path(arguments[0]).stem, *arguments[1:])


def test_commands_convert_and_the_result_detects(tmp_path: Path) -> None:
    _, run = small_detector(tmp_path / "converted.pt")
    config, converter = tmp_path / "small.yaml", "tools/convert.py"
    config.write_text(yaml.safe_dump(run.model_dump(mode="json")))
    done = command(converter, "to-mmocr-detector", tmp_path / "converted.pt", tmp_path / "mmocr.pth")
    assert done.returncode == 0, done.stderr
    assert "mean=[122.771, 116.746, 104.094]" in done.stdout
    done = command(converter, "from-mmocr-detector", tmp_path / "mmocr.pth", tmp_path / "back.pt", config)
    assert done.returncode == 0, done.stderr
    assert ", ".join(MMOCR_NORMALIZATION) in done.stdout
    assert TextDetector.load(tmp_path / "back.pt", "cpu").task.encoder.pixel_mean == (0.485, 0.456, 0.406)
    write_image(tmp_path / "image.png", np.full((64, 64, 3), 120, np.uint8))
    found = ("--output", tmp_path / "found", "--device", "cpu")
    done = command("tools/detect.py", tmp_path / "back.pt", tmp_path / "image.png", *found)
    assert done.returncode == 0, done.stderr
