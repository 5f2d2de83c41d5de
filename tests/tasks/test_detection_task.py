from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scenetext.data.loading.dataset import collate
from scenetext.data.records.samples import whole_sample
from scenetext.data.transforms.evaluation import EvaluationTransformSettings
from scenetext.data.transforms.training import TrainingTransformSettings
from scenetext.detectors import find_detector
from scenetext.detectors.dbnet.config import DBNetDecoding
from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.errors import DataError
from scenetext.geometry.polygon import order_polygon, signed_area
from scenetext.structures import Batch, Detection, ImageMeta, ImageRecord, TextInstance
from scenetext.tasks.decoding import to_original
from scenetext.tasks.detection import DetectionMetric, DetectionTask
from scenetext.tasks.evaluation_settings import EvaluationSettings

SQUARE = np.array([[10, 10], [40, 10], [40, 30], [10, 30]], dtype=np.float32)


def make_task(augment: bool = True, **evaluation: Any) -> DetectionTask:
    torch.manual_seed(0)
    spec = find_detector("dbnet")
    config = spec.config(inner_channels=8, level_channels=4)
    return DetectionTask(
        ClipResNet(ClipResNetSettings(layers=(1, 1, 1, 1), width=8)),
        spec,
        config,
        TrainingTransformSettings(size=(64, 64)),
        EvaluationTransformSettings(long_side=128, short_side=96),
        EvaluationSettings(**evaluation),
        augment,
    )


def collected(task: DetectionTask, batches: list[Batch]) -> dict[Path, list[Detection]]:
    found: dict[Path, list[Detection]] = {}
    collector = task.collector(found.__setitem__)
    for batch in batches:
        collector.update(batch, task.predict(batch))
    collector.finish()
    return found


def test_detections_go_back_to_original_pixels_and_stay_inside() -> None:
    matrix = np.array([[0.5, 0, 3], [0, 0.25, 1], [0, 0, 1]], dtype=np.float64)
    meta = ImageMeta(Path("x"), (12, 20), matrix, (64, 64))
    found = to_original([Detection(SQUARE, 0.5, "word", 0.7, np.eye(4, dtype=np.float32))], meta)[0]
    assert found.polygon.tolist() == [[8, 3.5], [20, 3.5], [20, 8.5], [8, 8.5]]
    assert (found.score, found.text, found.text_score) == (0.5, "word", 0.7)
    assert found.character_probabilities is not None, "what is read stays with the place"


def test_prediction_of_perfect_maps_is_the_ground_truth_in_original_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resized for the network, decoded there, and brought back: the polygon is where it was."""
    task = make_task().eval()
    image = np.full((60, 100, 3), 128, dtype=np.uint8)
    polygon = np.array([[20, 15], [70, 15], [70, 45], [20, 45]], dtype=np.float32)
    sample = whole_sample(image, Path("x"), (TextInstance(polygon, "A"),))
    prepared = task.prepare_evaluation(sample, np.random.default_rng(0))
    targets = task.spec.targets(prepared.sample, task.config)
    logits = torch.from_numpy(targets["probability"]).float()[None] * 20 - 10
    monkeypatch.setattr(task, "maps", lambda images: {"probability": logits, "threshold": logits})
    metric = task.metric([ImageRecord(Path("x"), 100, 60, sample.instances)])
    metric.update(collate([prepared]), task.predict(collate([prepared])))
    assert metric.compute()["hmean"] == 1.0


@pytest.mark.parametrize(
    "evaluation",
    [{}, {"flip": True}, {"scales": [0.5, 1, 1.5], "flip": True}, {"scales": [2.0]}],
    ids=["one view", "mirrored", "three sizes, mirrored", "larger"],
)
def test_every_view_finds_the_text_once_and_where_it_is(
    monkeypatch: pytest.MonkeyPatch, evaluation: dict[str, Any]
) -> None:
    """With a head that sees white as text: sizes and mirroring are undone, and the merged answer is one polygon."""
    task = make_task(**evaluation).eval()
    task.config = task.config.model_copy(update={"decoding": DBNetDecoding(unclip_ratio=0.01)})
    task.decoder = replace(task.decoder, config=task.config)
    monkeypatch.setattr(task, "maps", lambda images: {"probability": images[:, 0].float() / 10 - 12})
    polygon = np.array([[20, 15], [70, 15], [70, 45], [20, 45]], dtype=np.float32)
    image = np.zeros((60, 100, 3), dtype=np.uint8)
    image[15:45, 20:70] = 255
    samples = [whole_sample(image, Path(name), (TextInstance(polygon, "A"),)) for name in ("x", "y")]
    batch = collate([task.prepare_evaluation(sample, np.random.default_rng(0)) for sample in samples])
    metric = task.metric([ImageRecord(sample.meta.path, 100, 60, sample.instances) for sample in samples])
    metric.update(batch, task.predict(batch))
    assert metric.compute()["hmean"] == 1.0
    detections = collected(task, [batch])
    assert list(detections) == [Path("x"), Path("y")]
    for found in detections.values():
        assert len(found) == 1
        np.testing.assert_allclose(order_polygon(found[0].polygon), polygon, atol=2.5)
        assert signed_area(found[0].polygon) > 0


def test_the_largest_of_several_test_sizes_enlarges_what_keeps_its_size_too() -> None:
    task = make_task(scales=[1.0, 1.5])
    task.set_test_size(EvaluationTransformSettings(long_side=400, short_side=64, least_scale=1))
    prepared = task.prepare_evaluation(
        whole_sample(np.zeros((100, 200, 3), np.uint8), Path("x"), ()), np.random.default_rng(0)
    )
    assert prepared.sample.meta.content_size == (150, 300)


def test_other_processes_decode_to_the_same_detections() -> None:
    """Exactly: same polygons, same scores, whatever the order in which they come."""
    inline, pooled = make_task(flip=True), make_task(flip=True, decode_workers=1)
    images = np.random.default_rng(0).integers(0, 256, (5, 60, 100, 3), dtype=np.uint8)
    samples = [whole_sample(image, Path(str(index)), ()) for index, image in enumerate(images)]
    records = [ImageRecord(sample.meta.path, 100, 60, ()) for sample in samples]
    metrics, detections = [], []
    for task in (inline, pooled):
        torch.manual_seed(0)
        for parameter in task.head.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        task.eval()
        metric = task.metric(records)
        batches = [
            collate([task.prepare_evaluation(sample, np.random.default_rng(0)) for sample in pair])
            for pair in (samples[:2], samples[2:4], samples[4:])
        ]
        with torch.no_grad():
            for batch in batches:
                metric.update(batch, task.predict(batch))
            detections.append(collected(task, batches))
        metrics.append(metric)
    assert pickle.loads(pickle.dumps(metrics[1])).compute() == metrics[0].compute()
    expected, found = detections
    assert sum(map(len, expected.values())) > 3
    assert list(expected) == list(found)
    for path, texts in expected.items():
        assert [each.score for each in texts] == [each.score for each in found[path]]
        for one, other in zip(texts, found[path], strict=True):
            np.testing.assert_array_equal(one.polygon, other.polygon)


def test_overfitting_prepares_the_same_image_every_time() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
    sample = whole_sample(image, Path("x"), (TextInstance(SQUARE, "A"),))
    still, moving = make_task(augment=False), make_task()
    generators = [np.random.default_rng(seed) for seed in (1, 2)]
    first, second = (still.prepare_training(sample, generator).sample.image for generator in generators)
    assert np.array_equal(first, second)
    assert np.array_equal(first, still.prepare_evaluation(sample, generators[0]).sample.image)
    first, second = (moving.prepare_training(sample, generator).sample.image for generator in generators)
    assert not np.array_equal(first, second)


def test_losses_have_weights_and_reach_every_parameter() -> None:
    task = make_task()
    sample = whole_sample(np.full((60, 100, 3), 128, np.uint8), Path("x"), (TextInstance(SQUARE, "A"),))
    generator = np.random.default_rng(0)
    batch = collate([task.prepare_training(sample, generator) for _ in range(2)])
    losses = task(batch)
    assert losses.keys() == task.loss_weights.keys()
    sum(losses.values()).backward()  # type: ignore[union-attr]
    missing = [name for name, parameter in task.named_parameters() if parameter.grad is None]
    assert not missing


def test_metric_tells_broken_from_untrained() -> None:
    record = ImageRecord(Path("x"), 100, 60, (TextInstance(SQUARE, "A"),))
    metric = DetectionMetric([record], EvaluationSettings())
    batch = Batch(torch.empty(0), {}, (ImageMeta(Path("x"), (60, 100), np.eye(3), (60, 100)),))
    metric.update(batch, [[Detection(SQUARE, 0.9), Detection(SQUARE + 50, 0.4)]])
    metrics = metric.compute()
    assert metrics["hmean"] == 1.0
    assert metrics["threshold"] == pytest.approx(0.5), "the lowest threshold that leaves the false one out"
    assert metrics["detections"] == 2
    assert metrics["mean_score"] == pytest.approx(0.65)
    assert metrics["best_score"] == pytest.approx(0.9)
    with pytest.raises(DataError, match="twice"):
        metric.update(batch, [[]])


def test_metric_refuses_images_that_are_not_measured() -> None:
    metric = DetectionMetric([], EvaluationSettings())
    batch = Batch(torch.empty(0), {}, (ImageMeta(Path("x"), (60, 100), np.eye(3), (60, 100)),))
    with pytest.raises(DataError, match="not among the records"):
        metric.update(batch, [[]])


@given(st.lists(st.integers(0, 2), min_size=6, max_size=6))
def test_metrics_of_several_processes_add_up(owners: list[int]) -> None:
    """However the images are dealt out, the merged metric is that of one process."""
    generator = np.random.default_rng(0)
    records = [ImageRecord(Path(str(index)), 100, 60, (TextInstance(SQUARE, "A"),)) for index in range(len(owners))]
    found = [
        [Detection(SQUARE + shift, float(score)) for shift, score in zip((0, 3, 50), generator.random(3), strict=True)]
        for _ in records
    ]
    whole = DetectionMetric(records, EvaluationSettings())
    parts = [DetectionMetric(records, EvaluationSettings()) for _ in range(3)]
    for record, detections, owner in zip(records, found, owners, strict=True):
        batch = Batch(torch.empty(0), {}, (ImageMeta(record.path, (60, 100), np.eye(3), (60, 100)),))
        whole.update(batch, [detections])
        parts[owner].update(batch, [detections])
    for part in parts[1:]:
        parts[0].include(pickle.loads(pickle.dumps(part)))
    assert parts[0].compute() == whole.compute()
    assert parts[0].counts.paths == whole.counts.paths
    with pytest.raises(DataError, match="two processes"):
        parts[0].include(whole)


def test_a_pickled_metric_holds_counts_and_neither_records_nor_matches() -> None:
    """200 images with 20 texts each: 8 bytes of score a detection, some 70 of path an image."""
    texts = tuple(TextInstance(SQUARE + 50 * index, "A") for index in range(20))
    records = [ImageRecord(Path(f"/data/images/{index}.jpg"), 1280, 720, texts) for index in range(200)]
    metric = DetectionMetric(records, EvaluationSettings())
    for record in records:
        batch = Batch(torch.empty(0), {}, (ImageMeta(record.path, (720, 1280), np.eye(3), (720, 1280)),))
        metric.update(batch, [[Detection(text.polygon, 0.5) for text in texts if text.polygon is not None]])
    sent = pickle.dumps(metric)
    assert len(sent) < 60_000
    copy = pickle.loads(sent)
    assert copy.compute() == metric.compute()
    with pytest.raises(DataError, match="not among the records"):
        copy.update(batch, [[]])


def test_pictures_show_detections_on_the_input_without_its_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task().eval()
    image = np.full((60, 100, 3), 128, dtype=np.uint8)
    prepared = [task.prepare_evaluation(whole_sample(image, Path(folder) / "x.jpg", ()), None) for folder in "ab"]  # type: ignore[arg-type]
    detections = [[Detection(SQUARE, 0.5)], []]
    monkeypatch.setattr(task, "maps", lambda images: {})
    task.spec = replace(task.spec, decode=lambda maps, config: detections)
    drawn = task.pictures(collate(prepared))
    assert list(drawn) == ["0_x", "1_x"], "two files of one name"
    with_text, without = drawn.values()
    assert without.shape == (*prepared[0].sample.meta.content_size, 3)
    assert (without == 128).all()
    assert (with_text[12:29, 10] != 128).any(), "the outline of the square's left side, in input pixels"
    assert (with_text[40:, 60:] == 128).all()
