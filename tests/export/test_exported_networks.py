"""Every detector as an ONNX file: read back, it computes what PyTorch does, for any batch and size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exported_detectors import export, make_run, make_task
from scenetext.data.loading.dataset import collate
from scenetext.data.records.samples import whole_sample
from scenetext.detectors import detector_names
from scenetext.errors import CheckpointError, ConfigError
from scenetext.export.forms import FORMS, check_form
from scenetext.runs.exported import load_exported_task, open_session, stages_file
from scenetext.runs.kinds import PRETRAINING
from scenetext.runs.load import load_trained_task
from scenetext.structures import PreparedSample
from tiny_tcm import SIZES

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TCM = {**SIZES, "name": "tcm", "text": {"width": 8, "heads": 2, "layers": 2}}


def images(count: int, height: int, width: int) -> torch.Tensor:
    return torch.randint(256, (count, 3, height, width), generator=torch.Generator().manual_seed(3)).to(torch.uint8)


@pytest.mark.parametrize("detector", detector_names())
def test_an_exported_detector_computes_what_pytorch_does(detector: str, tmp_path: Path) -> None:
    run = make_run(detector)
    task = make_task(run)
    export(run, task, tmp_path / "model.onnx")
    exported, settings, content = load_exported_task(tmp_path / "model.onnx")
    assert settings.detector == run.detector
    assert content["detector"] == detector
    for count, height, width in ((1, 96, 64), (3, 64, 128)):
        with torch.no_grad():
            expected, found = task.maps(images(count, height, width)), exported.maps(images(count, height, width))
        assert set(found) == set(expected) - set(task.spec.training_maps)
        for name, value in found.items():
            assert value.shape == expected[name].shape, name
            assert torch.allclose(value.float(), expected[name].float(), atol=1e-4, rtol=1e-4), name


@pytest.mark.parametrize(
    "encoder",
    [
        {"name": "resnet", "depth": 18, "stem": "deep"},
        {"name": "timm", "model": "mobilenetv3_small_050"},
    ],
    ids=["resnet", "timm"],
)
def test_encoders_are_exported(encoder: dict[str, Any], tmp_path: Path) -> None:
    if encoder["name"] == "timm":
        pytest.importorskip("timm")
    run = make_run("psenet", encoder)
    task = make_task(run)
    export(run, task, tmp_path / "model.onnx")
    exported, _, _ = load_exported_task(tmp_path / "model.onnx")
    with torch.no_grad():
        for count, height, width in ((1, 64, 64), (3, 96, 64)):
            expected, found = task.maps(images(count, height, width)), exported.maps(images(count, height, width))
            assert torch.allclose(found["kernels"], expected["kernels"], atol=1e-4)


@pytest.mark.parametrize("fast", [True, False], ids=["text is constant", "text differs from image to image"])
def test_tcm_is_exported_with_its_text(fast: bool, tmp_path: Path) -> None:
    pytest.importorskip("open_clip")
    run = make_run("psenet", {**TCM, "fast": fast})
    task = make_task(run)
    export(run, task, tmp_path / "model.onnx")
    exported, _, _ = load_exported_task(tmp_path / "model.onnx")
    with torch.no_grad():
        for count, height, width in ((1, 64, 64), (3, 96, 64)):
            expected, found = task.maps(images(count, height, width)), exported.maps(images(count, height, width))
            assert torch.allclose(found["kernels"], expected["kernels"], atol=1e-5)
    nodes = {node.name for node in onnx.load(str(tmp_path / "model.onnx")).graph.node}
    assert fast != any("text_encoder" in name for name in nodes)


def test_a_reader_reads_what_the_exported_detector_finds(tmp_path: Path) -> None:
    run = make_run("dbnet", reader={"width": 32, "channels": 4}, transform={"size": [64, 64], "horizontal_flip": 0})
    task = make_task(run)
    torch.nn.init.constant_(task.head.probability.predict.bias, 2.0)  # type: ignore[union-attr, arg-type]
    remarks = export(run, task, tmp_path / "model.onnx")
    assert stages_file(tmp_path / "model.onnx").name in remarks[0]
    exported, _, _ = load_exported_task(tmp_path / "model.onnx")
    image = images(1, 64, 96)[0].permute(1, 2, 0).numpy()
    batch = collate([PreparedSample(whole_sample(image, Path("image"), ()))])
    with torch.no_grad():
        expected, found = task.detect(batch)[0], exported.detect(batch)[0]
    assert expected
    assert [one.text for one in found] == [one.text for one in expected]
    assert np.allclose([one.text_score for one in found], [one.text_score for one in expected], atol=1e-3)  # type: ignore[arg-type]

    stages_file(tmp_path / "model.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"model\.stages\.safetensors"):
        load_exported_task(tmp_path / "model.onnx")


def test_deformable_convolutions_are_refused_by_name(tmp_path: Path) -> None:
    run = make_run("dbnet", {"name": "resnet", "depth": 50, "deformable_stages": [4]})
    with pytest.raises(ConfigError, match="operator without a form in ONNX.*deform_conv2d"):
        export(run, make_task(run), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


@pytest.fixture(scope="module")
def dbnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run("dbnet")
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export(run, make_task(run), path)
    return path


def test_metadata_are_json_with_all_that_another_program_needs(dbnet: Path) -> None:
    content = json.loads(open_session(dbnet).get_modelmeta().custom_metadata_map["scenetext"])
    assert content["input"]["mean"] == pytest.approx([0.48145466, 0.4578275, 0.40821073])
    assert content["input"]["order"] == "RGB"
    assert content["outputs"] == ["probability"]
    assert content["step"] == 7
    assert content["config"]["evaluation_transform"]["long_side"] == 96


def test_settings_of_the_run_can_be_changed_where_an_export_is_loaded(dbnet: Path) -> None:
    task, run, _ = load_trained_task(dbnet, overrides=["evaluation_transform.long_side=128"])
    assert task.evaluation_transform.long_side == run.evaluation_transform.long_side == 128  # type: ignore[union-attr]


def test_files_that_are_no_exports_are_refused(dbnet: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        load_exported_task(tmp_path / "none.onnx")
    (tmp_path / "cut.onnx").write_bytes(dbnet.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="cannot read it"):
        load_exported_task(tmp_path / "cut.onnx")
    with pytest.raises(CheckpointError, match="expected pretraining"):
        load_trained_task(dbnet, PRETRAINING)
    model = onnx.load(str(dbnet))
    del model.metadata_props[:]
    onnx.save(model, str(tmp_path / "foreign.onnx"))
    with pytest.raises(CheckpointError, match="not written by scenetext export"):
        load_exported_task(tmp_path / "foreign.onnx")


def test_other_programs_forms_are_of_db_alone_and_are_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--for opencv: .*pan has others"):
        check_form(FORMS["opencv"], make_run("pan"))
    run = make_run("dbnet")
    export(run, make_task(run), tmp_path / "model.onnx", "rapidocr")
    with pytest.raises(CheckpointError, match="exported for rapidocr"):
        load_exported_task(tmp_path / "model.onnx")
