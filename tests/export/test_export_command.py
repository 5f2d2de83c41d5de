from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exported_detectors import RECTANGLES, bright_image, finds_bright_places, make_run, make_task
from scenetext.commands import run_words
from scenetext.data.records.files import write_records
from scenetext.data.records.images import write_image
from scenetext.errors import ConfigError
from scenetext.inference import TextDetector
from scenetext.runs.build import describe_run
from scenetext.structures import ImageRecord, TextInstance
from scenetext.training.checkpoint import save_checkpoint

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With best.pt, image.png and records.jsonl of it."""
    folder = tmp_path_factory.mktemp("export")
    run = make_run("dbnet", decoding={"unclip_ratio": 0.3}, evaluation_transform={"long_side": 288, "short_side": 288})
    task = finds_bright_places(make_task(run))
    save_checkpoint(folder / "best.pt", {**describe_run(run, None), "model": task.state_dict(), "step": 3})
    write_image(folder / "image.png", bright_image())
    boxes = [np.array([(x, y), (u, y), (u, v), (x, v)], np.float32) for x, y, u, v in RECTANGLES]
    instances = tuple(TextInstance(box, "word") for box in boxes)
    write_records(folder / "records.jsonl", [ImageRecord(folder / "image.png", 256, 288, instances)])
    return folder


def test_the_export_is_compared_loaded_and_evaluated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best, model, image = str(folder / "best.pt"), str(folder / "model.onnx"), str(folder / "image.png")
    run_words(["export", best, model, "--images", image])
    printed = capsys.readouterr().out
    assert "probability: differs from PyTorch by" in printed
    assert "detections: 2 of PyTorch, 2 of the export, 2 agree" in printed
    detector = TextDetector.load(model)
    assert "ONNX Runtime" in str(detector.inference)
    expected = TextDetector.load(best, "cpu", precision="fp32")(image)
    for one, other in zip(detector(image), expected, strict=True):
        assert np.allclose(one.polygon, other.polygon, atol=1)
        assert one.score == pytest.approx(other.score, abs=1e-4)
    records = str(folder / "records.jsonl")
    run_words(["evaluate", model, "--records", records, "--output", str(folder / "evaluation"), "--workers", "0"])
    assert "100.0" in capsys.readouterr().out


def test_int8_prints_what_it_costs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = folder / "int8.onnx"
    records = ["--records", str(folder / "records.jsonl")]
    run_words(["export", str(folder / "best.pt"), str(model), "--int8", *records])
    printed = capsys.readouterr().out
    assert "| ONNX Runtime, fp32 | 100.0 | 100.0" in printed
    assert "| ONNX Runtime, int8 |" in printed
    run_words(["export", str(folder / "best.pt"), str(folder / "fp32.onnx"), "--images", str(folder / "image.png")])
    assert len(TextDetector.load(model)(folder / "image.png")) == 2
    import onnx

    kinds = {node.op_type for node in onnx.load(str(model)).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert "Identity" not in kinds, "a bias that is stored once for two layers leaves both in float32"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["model.pt"], "ends with .onnx"),
        (["model.onnx", "--int8"], "--int8 and --records go together"),
        (["model.onnx", "--int8", "--records", "r.jsonl", "--for", "opencv"], "without --for"),
    ],
)
def test_flags_that_do_not_go_together(
    folder: Path, words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run_words(["export", str(folder / "best.pt"), *words])
    assert problem in capsys.readouterr().err


def test_another_programs_form_of_another_detector_is_refused(folder: Path, tmp_path: Path) -> None:
    run = make_run("pan")
    save_checkpoint(tmp_path / "pan.pt", {**describe_run(run, None), "model": make_task(run).state_dict(), "step": 0})
    with pytest.raises(ConfigError, match="pan has others"):
        run_words(["export", str(tmp_path / "pan.pt"), str(tmp_path / "model.onnx"), "--for", "opencv"])
