"""Images of extreme shape through everything that is done to them before a network sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scenetext.data.loading.dataset import RecordDataset, collate_loaded
from scenetext.data.records.images import write_image
from scenetext.data.records.samples import load_sample
from scenetext.data.transforms.evaluation import EvaluationTransformSettings, WholeImageTransformSettings
from scenetext.data.transforms.training import TrainingTransformSettings
from scenetext.detectors import find_detector
from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.pretraining.oclip.task import OclipTask
from scenetext.structures import ImageRecord, TextInstance
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.evaluation_settings import EvaluationSettings
from scenetext.text.charset import CharacterSet
from weight_layouts import SMALL_OCLIP

SIZES = [(1, 1), (1, 7), (10, 20_000), (20_000, 10), (1, 20_000)]
"""(height, width)"""


def record_of(folder: Path, size: tuple[int, int], known_place: bool) -> ImageRecord:
    """A stored image of noise with one word over its middle half, or without polygon."""
    path = folder / "odd.png"
    height, width = size
    write_image(path, np.random.default_rng(0).integers(1, 256, (*size, 3), dtype=np.uint8))
    corners = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]) * [width, height]
    polygon = corners.astype(np.float32) if known_place else None
    return ImageRecord(path, width, height, (TextInstance(polygon, "word"),))


@pytest.mark.parametrize("known_place", [True, False])
@pytest.mark.parametrize("mode", ["squeeze", "pad"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pretraining_prepares_and_learns_from_it(
    tmp_path: Path, size: tuple[int, int], mode: str, known_place: bool
) -> None:
    torch.manual_seed(0)
    transform = WholeImageTransformSettings(size=64, mode=mode)  # type: ignore[arg-type]
    task = OclipTask(SMALL_OCLIP, CharacterSet.english(), transform)
    dataset = RecordDataset([record_of(tmp_path, size, known_place)], task.prepare_training, seed=0)
    items = [dataset[epoch, 0] for epoch in range(2)]
    assert not any(item.skipped for item in items)
    for item in items:
        sample = item.prepared.sample
        shown = sample.image[: sample.meta.content_size[0], : sample.meta.content_size[1]]
        assert sample.image.shape == (64, 64, 3)
        assert shown.size
        assert shown.all(), "no pixel of the noise is 0: what is said to be image is image"
        assert [instance.text for instance in sample.instances] == ["word"], "the caption stays true"
        assert (item.prepared.targets["masked"] > 0).sum() == 1
        assert not item.prepared.targets["padding"].all(), "something is left to look at"
    losses = task(collate_loaded(items))
    assert all(torch.isfinite(value) for value in losses.values())


def detection_task(evaluation: EvaluationTransformSettings) -> DetectionTask:
    torch.manual_seed(0)
    spec = find_detector("dbnet")
    encoder = ClipResNet(ClipResNetSettings(layers=(1, 1, 1, 1), width=8))
    config = spec.config(name="dbnet", inner_channels=16, level_channels=8)
    return DetectionTask(
        encoder, spec, config, TrainingTransformSettings(size=(64, 64)), evaluation, EvaluationSettings()
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_detector_trains_and_predicts_on_it(tmp_path: Path, size: tuple[int, int]) -> None:
    settings = EvaluationTransformSettings(long_side=640, short_side=128)
    task = detection_task(settings)
    record = record_of(tmp_path, size, known_place=True)
    trained = RecordDataset([record], task.prepare_training, seed=0)
    losses = task(collate_loaded([trained[epoch, 0] for epoch in range(2)]))
    assert all(torch.isfinite(value) for value in losses.values())

    item = RecordDataset([record], task.prepare_evaluation, seed=0).evaluation_item(0)
    sample = item.prepared.sample
    height, width = sample.image.shape[:2]
    assert height % settings.multiple == 0
    assert width % settings.multiple == 0
    assert max(sample.meta.content_size) <= settings.long_side
    assert min(sample.meta.content_size) <= settings.short_side
    task.eval()
    with torch.no_grad():
        (found,) = task.predict(collate_loaded([item]))
    assert all((one.polygon >= 0).all() and (one.polygon <= [size[1], size[0]]).all() for one in found)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_published_test_size_bounds_its_memory(tmp_path: Path, size: tuple[int, int]) -> None:
    task = detection_task(EvaluationTransformSettings())
    sample = load_sample(record_of(tmp_path, size, known_place=True))
    prepared = task.prepare_evaluation(sample, np.random.default_rng(0)).sample
    assert max(prepared.image.shape) <= 1333 + 31
    assert prepared.image.size <= 3 * 1344 * 768
