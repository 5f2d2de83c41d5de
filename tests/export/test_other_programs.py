"""OpenCV and RapidOCR load what is exported for them, and find what we find."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from exported_detectors import RECTANGLES, bright_image, export, finds_bright_places, make_run, make_task
from scenetext.evaluation.evaluator import evaluate_image
from scenetext.evaluation.rules import IouProtocol
from scenetext.export.forms import FORMS
from scenetext.export.parity import compare_form
from scenetext.structures import Batch, Detection, ImageMeta, TextInstance
from scenetext.tasks.detection import DetectionTask

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

RUN = make_run("dbnet", decoding={"unclip_ratio": 0.3})


@pytest.fixture(scope="module")
def task() -> DetectionTask:
    return finds_bright_places(make_task(RUN))


@pytest.fixture(scope="module")
def batch() -> Batch:
    image = bright_image()
    size = (image.shape[0], image.shape[1])
    meta = ImageMeta(Path("image"), size, np.eye(3), size)
    return Batch(torch.from_numpy(image).permute(2, 0, 1)[None], {}, (meta,))


def agreeing(expected: list[Detection], polygons: list[np.ndarray], iou: float) -> int:
    truth = [TextInstance(one.polygon, None) for one in expected]
    found = [Detection(np.asarray(polygon, np.float32).reshape(-1, 2), 1.0) for polygon in polygons]
    rule = IouProtocol(name="agreement", iou_threshold=iou)
    return int(evaluate_image(found, truth, rule, [0.0]).counts[0].hits)


def test_the_detector_finds_the_bright_rectangles(task: DetectionTask, batch: Batch) -> None:
    """What the others are compared with means something."""
    with torch.no_grad():
        (found,) = task.detect(batch)
    boxes = [[(left, top), (right, top), (right, bottom), (left, bottom)] for left, top, right, bottom in RECTANGLES]
    assert len(found) == len(RECTANGLES)
    assert agreeing(found, [np.array(box) for box in boxes], 0.5) == len(RECTANGLES)


@pytest.mark.parametrize("form", ["opencv", "rapidocr"])
def test_the_probability_is_that_of_pytorch(form: str, task: DetectionTask, batch: Batch, tmp_path: Path) -> None:
    export(RUN, task, tmp_path / "model.onnx", form, (288, 256))
    parity = compare_form(task, tmp_path / "model.onnx", FORMS[form], [batch])
    assert parity.differences["probability"][0] < 1e-4
    assert parity.differences["probability"][1] > 0.9


def test_opencv_finds_the_same_boxes(task: DetectionTask, batch: Batch, tmp_path: Path) -> None:
    export(RUN, task, tmp_path / "model.onnx", "opencv", (288, 256))
    model = cv2.dnn.TextDetectionModel_DB(str(tmp_path / "model.onnx"))
    model.setInputParams(1 / 255, (256, 288), (0, 0, 0), True)
    decoding = RUN.detector.decoding
    model.setBinaryThreshold(decoding.mask_threshold).setPolygonThreshold(decoding.score_threshold)
    model.setMaxCandidates(decoding.maximum_candidates).setUnclipRatio(decoding.unclip_ratio)
    polygons, scores = model.detect(cv2.cvtColor(bright_image(), cv2.COLOR_RGB2BGR))
    with torch.no_grad():
        (expected,) = task.detect(batch)
    assert len(polygons) == len(expected)
    assert agreeing(expected, list(polygons), 0.8) == len(expected)
    assert np.allclose(sorted(scores), sorted(one.score for one in expected), atol=0.02)


def test_rapidocr_finds_the_same_boxes(task: DetectionTask, batch: Batch, tmp_path: Path) -> None:
    rapidocr = pytest.importorskip("rapidocr")
    export(RUN, task, tmp_path / "model.onnx", "rapidocr")
    decoding = RUN.detector.decoding
    parameters = {
        "Global.log_level": "error",
        "Det.model_path": str(tmp_path / "model.onnx"),
        "Det.limit_side_len": 256,
        "Det.unclip_ratio": decoding.unclip_ratio,
        "Det.box_thresh": decoding.score_threshold,
        "Det.use_dilation": False,
    }
    engine = rapidocr.RapidOCR(params=parameters)
    found = engine(cv2.cvtColor(bright_image(), cv2.COLOR_RGB2BGR), use_det=True, use_cls=False, use_rec=False)
    with torch.no_grad():
        (expected,) = task.detect(batch)
    assert len(found.boxes) == len(expected)
    assert agreeing(expected, list(found.boxes), 0.8) == len(expected)
