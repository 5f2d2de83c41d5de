"""The benchmark of what a detector costs outside of its training step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenetext.benchmark.detection import Probe, measure_in_alternation, sample_in_alternation, time_hmean
from scenetext.benchmark.measurements import Measurement
from scenetext.data.records.files import write_records
from scenetext.data.records.images import write_image
from scenetext.detectors import find_examples
from scenetext.runs.data import read_all_records
from scenetext.runs.settings import DetectionRun, check_run
from scenetext.structures import ImageRecord, TextInstance

DETECTOR = {"name": "dbnet", "inner_channels": 16, "level_channels": 8}


def detection_run(folder: Path, **detector: object) -> DetectionRun[Any, Any]:
    """A run on two images of noise, with one word and with the same word twice."""
    word = TextInstance(np.array([[10, 10], [50, 10], [50, 40], [10, 40]], dtype=np.float32), "word")
    listed = []
    for number in (1, 2):
        path = folder / f"{number}.png"
        write_image(path, np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8))
        listed.append(ImageRecord(path, 64, 64, (word,) * number))
    records = str(folder / "records.jsonl")
    write_records(folder / "records.jsonl", listed)
    values = {
        "kind": "detection",
        "encoder": {"name": "clip_resnet", "layers": [1, 1, 1, 1], "width": 8},
        "detector": detector,
        "data": {"train": [records], "validation": [records]},
        "transform": {"size": [64, 64]},
        "evaluation_transform": {"long_side": 64, "short_side": 64},
        "training": {"steps": 5, "evaluate_every": 5, "device": "cpu"},
    }
    run = check_run(values, "test")
    assert isinstance(run, DetectionRun)
    return run


def names(metrics: list[Measurement]) -> list[str]:
    return [metric.name for metric in metrics]


def test_detectors_are_measured_outside_of_training(tmp_path: Path) -> None:
    small = {"pyramid_channels": 8, "head_channels": 8}
    runs = {
        "dbnet": detection_run(tmp_path, **DETECTOR),
        "psenet": detection_run(tmp_path, name="psenet", **small),
        "pan": detection_run(tmp_path, name="pan", **small),
        "maskrcnn": detection_run(tmp_path, name="maskrcnn", **find_examples("maskrcnn").small),
    }
    columns = measure_in_alternation(runs, images=2, rounds=2)
    assert list(columns) == list(runs)
    for name, metrics in columns.items():
        found = {metric.name: metric for metric in metrics}
        assert names(metrics) == names(columns["dbnet"])
        assert all(0 < metric.low <= metric.value <= metric.high for metric in metrics)
        assert found["height of the first input"].value == 64
        texts = found["texts decoded in an image, mean"].value
        assert texts == (1.5 if name == "maskrcnn" else 1), "the same word twice is one text, but for its masks"
        assert found["polygons in a window, mean"].value == 1.5, "one, and the same twice"
        assert found["loader, one core"].high == pytest.approx(1000 / found["sample, file to tensors"].low)
        way = ("input, file to tensor", "forward", "decode")
        fastest = 1000 / sum(found[name].low for name in way)
        assert found["end to end, file to detections"].high <= fastest * (1 + 1e-9)


def test_round_follows_round() -> None:
    order: list[str] = []

    def probe(name: str) -> Probe:
        return Probe(name, "ms", lambda: float(order.append(name) or len(order)))

    values = sample_in_alternation({"first": [probe("a"), probe("b")], "second": [probe("c")]}, rounds=2)
    assert order == ["a", "b", "c"] * 3
    assert values == {"first": [[4.0, 7.0], [5.0, 8.0]], "second": [[6.0, 9.0]]}, "without the round that warms up"


def test_hmean_is_timed_on_all_instances(tmp_path: Path) -> None:
    run = detection_run(tmp_path, **DETECTOR)
    assert time_hmean(list(read_all_records(run.data.validation, "test"))) > 0
