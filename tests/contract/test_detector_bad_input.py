"""What every detector makes of polygons and images that nobody would have drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from detector_subjects import Subject, make_subject
from scenetext.benchmark.detection import softened
from scenetext.data.transforms.training import RegionCropSettings, TrainingTransformSettings, training_transform
from scenetext.detectors import detector_names
from scenetext.errors import CheckpointError
from scenetext.structures import Features, Sample, TextInstance
from scenetext.weights.report import load_weights
from text_samples import large_texts, make_sample, overlap, wild_polygons, wild_samples, word

every_detector = pytest.mark.parametrize("name", detector_names())
CROPS = {
    "window": TrainingTransformSettings(size=(96, 64)),
    "region": TrainingTransformSettings(size=(64, 96), region=RegionCropSettings(squeeze=0.5), canvas="keep"),
}


def learn(subject: Subject, samples: list[Sample]) -> None:
    """Targets are finite and regions of 0 and 1, and losses and gradients of random maps finite, bf16 included."""
    targets = subject.targets(samples)
    for key, value in targets.items():
        assert value.isfinite().all(), key
    region, valid = subject.spec.text_region(targets)
    assert set(region.unique().tolist()) <= {0, 1}
    assert set(valid.unique().tolist()) <= {0, 1}
    height, width = samples[0].image.shape[:2]
    generator = torch.Generator().manual_seed(0)
    levels = tuple(
        torch.randn(len(samples), 8, height // stride, width // stride, generator=generator)
        for stride in (4, 8, 16, 32)
    )
    network = subject.head()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = subject.maps(network, Features(levels), targets)
        terms = subject.spec.loss(maps, targets, subject.config)
    assert all(term.dtype == torch.float32 and term.isfinite() for term in terms.values()), terms
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


@every_detector
@settings(max_examples=15)
@given(sample=wild_samples())
def test_any_polygons_are_learnt_from(name: str, sample: Sample) -> None:
    """Crossing themselves, of either direction, repeated points, 3 to 100 of them, no area, outside, all ignored."""
    learn(make_subject(name), [sample, sample])


@every_detector
@settings(max_examples=15)
@given(
    polygons=st.lists(st.tuples(wild_polygons, st.booleans()), max_size=4),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    crop=st.sampled_from(sorted(CROPS)),
    seed=st.integers(0, 99),
)
def test_any_image_is_cropped_and_learnt_from(
    name: str, polygons: list[tuple[np.ndarray, bool]], size: tuple[int, int], crop: str, seed: int
) -> None:
    """Images smaller than the crop and of any aspect, with polygons that need not lie in them."""
    sample = make_sample([word(polygon, ignore) for polygon, ignore in polygons], size)
    cropped = training_transform(sample, CROPS[crop], np.random.default_rng(seed))
    learn(make_subject(name), [cropped, cropped])


@every_detector
@pytest.mark.parametrize("ignore", [False, True])
def test_five_thousand_instances(name: str, ignore: bool) -> None:
    corners = np.array([(0, 0), (16, 0), (16, 10), (0, 10)], np.float32)
    positions = np.random.default_rng(0).uniform(-20, 660, (5000, 1, 2)).astype(np.float32)
    sample = make_sample([word(corners + position, ignore) for position in positions], (640, 640))
    subject = make_subject(name)
    targets = subject.targets([sample])
    assert all(value.isfinite().all() for value in targets.values())
    region, _ = subject.spec.text_region(targets)
    assert bool(region.any()) is not ignore


@every_detector
@pytest.mark.parametrize("ignore", [False, True])
def test_hundreds_of_texts_in_a_batch_of_one_are_learnt_from(name: str, ignore: bool) -> None:
    corners = np.array([(0, 0), (16, 0), (16, 10), (0, 10)], np.float32)
    positions = np.random.default_rng(0).uniform(-10, 180, (300, 1, 2)).astype(np.float32)
    learn(make_subject(name), [make_sample([word(corners + position, ignore) for position in positions], (128, 192))])


@every_detector
@settings(max_examples=15)
@given(texts=large_texts(st.just(4)), soft=st.booleans())
def test_rectangles_come_back(name: str, texts: tuple[np.ndarray, np.ndarray], soft: bool) -> None:
    """Rectangles of sides from 50 to 142 pixels, of any angle and either direction, from perfect maps.

    How well, the detector's examples say for those longer than twice their height and for all others. Soft maps have
    blurred edges and noise.
    """
    subject = make_subject(name)
    maps = subject.perfect_maps(subject.targets([make_sample([word(text) for text in texts], (256, 512))]))
    (found,) = subject.spec.decode(softened(maps, subject.examples.soft_maps, 0) if soft else maps, with_quads(subject))
    assert len(found) == 2
    examples = subject.examples
    for text in texts:
        least = examples.compact_text_overlap if aspect(text) <= 2 else examples.long_text_overlap
        assert max(overlap(one.polygon, text) for one in found) > least


def aspect(rectangle: np.ndarray) -> float:
    sides = np.linalg.norm(np.diff(rectangle[:3], axis=0), axis=1)
    return float(sides.max() / sides.min())


def with_quads(subject: Subject) -> object:
    """Its settings with rectangles for polygons, where a detector has the choice."""
    decoding = getattr(subject.config, "decoding", None)
    if not hasattr(decoding, "polygon_shape"):
        return subject.config
    return subject.config.model_copy(update={"decoding": decoding.model_copy(update={"polygon_shape": "quad"})})


@every_detector
def test_batches_without_text_at_all_are_learnt_from_in_half_precision(name: str) -> None:
    unknown, outside = TextInstance(None, "word"), word(np.array([(900, 900), (950, 900), (950, 920)], np.float32))
    learn(make_subject(name), [make_sample([], (64, 96)), make_sample([unknown, outside], (64, 96))])


@pytest.mark.parametrize("other", detector_names())
@every_detector
def test_weights_of_another_detector_are_refused_with_a_list(name: str, other: str) -> None:
    if name == other:
        return
    weights = make_subject(other).head().state_dict()
    with pytest.raises(
        CheckpointError, match=r"best\.pt does not fit the model:(.|\n)*(missing|unknown|another shape)"
    ):
        load_weights(make_subject(name).head(), weights, Path("best.pt"))
