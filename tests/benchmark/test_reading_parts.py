"""Times of the parts of detecting and reading: each counts once, and together they are all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scenetext.benchmark.reading import TOTAL, Stopwatch, scored, time_reading
from scenetext.data.records.images import write_image
from scenetext.data.transforms.evaluation import EvaluationTransformSettings
from scenetext.data.transforms.training import TrainingTransformSettings
from scenetext.detectors import find_detector
from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.spotters.reader import ReaderSettings, with_reader
from scenetext.structures import Detection, ImageRecord, TextInstance
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.evaluation_settings import EvaluationSettings


def test_a_part_within_another_counts_for_itself_alone() -> None:
    times = iter([0.0, 1.0, 4.0, 10.0, 20.0, 21.0])
    watch = Stopwatch(torch.device("cpu"), lambda: next(times))
    with watch.part("outer"), watch.part("inner"):
        pass
    watch.image_done()
    with watch.part("outer"):
        pass
    watch.image_done()
    assert watch.images == [{"outer": 7, "inner": 3}, {"outer": 1}]


@pytest.mark.parametrize("reads", [True, False])
def test_parts_of_a_detector_add_up_to_all_of_an_image(tmp_path: Path, reads: bool) -> None:
    torch.manual_seed(0)
    spec, settings = find_detector("dbnet"), ReaderSettings(channels=4)
    config = spec.config(inner_channels=8, level_channels=4)
    if reads:
        spec = with_reader(spec, settings, settings.alphabet())
    task = DetectionTask(
        ClipResNet(ClipResNetSettings(layers=(1, 1, 1, 1), width=8)),
        spec,
        config,
        TrainingTransformSettings(size=(64, 64)),
        EvaluationTransformSettings(long_side=64, short_side=64),
        EvaluationSettings(),
    )
    write_image(tmp_path / "a.png", np.zeros((64, 64, 3), np.uint8))
    ticks = iter(range(1000))
    record = ImageRecord(tmp_path / "a.png", 64, 64, ())
    metrics, found = time_reading(task, [record] * 2, torch.device("cpu"), lambda: float(next(ticks)))
    assert list(found) == [record.path]
    values = {one.name: one.value for one in metrics}
    parts = ["the rest", "reading and resizing the image", "encoder", "head", "decoding"]
    parts += ["reading: places", "reading", "reading: network"] if reads else []
    assert set(values) - {TOTAL} <= set(parts)
    assert {"encoder", "head", "decoding"} <= set(values)
    assert values.pop(TOTAL) == sum(value for name, value in values.items() if name in parts)
    assert all(values[name] >= 1000 for name in values if name in parts), "a tick is a second"


def test_what_is_found_is_scored_beside_its_time() -> None:
    """Two words, one of them read right, and a false one of a lower score."""
    words = [np.array([(x, 4), (x + 20, 4), (x + 20, 14), (x, 14)], np.float32) for x in (0, 40, 80)]
    truth = tuple(TextInstance(one, text) for one, text in zip(words, ("STOP", "EXIT"), strict=False))
    found = [
        Detection(one, score, text)
        for one, score, text in zip(words, (0.8, 0.9, 0.2), ("stop", "EXTT", "x"), strict=True)
    ]
    record = ImageRecord(Path("a.png"), 120, 20, truth)
    values = {one.name: one.value for one in scored([record], {record.path: found})}
    assert values == {
        "texts in an image": 3,
        "best hmean by ic15": 100,
        "best hmean by ic15_end_to_end": 50,
        "words read, of those found": 50,
    }
