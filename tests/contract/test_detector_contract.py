"""What every detector keeps to, found on disk: a new folder is checked as soon as it is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from shapely import Polygon
from torch import Tensor, nn

from detector_subjects import Subject, make_subject
from scenetext.conversion.detectors import head_prefixes
from scenetext.detectors import detector_names, find_detector, optional_file
from scenetext.errors import ConfigError
from scenetext.structures import Detection, Features, ImageMeta, Sample, TextInstance
from scenetext.weights.mmocr import rename_prefix

HEIGHT, WIDTH = 128, 192
# Not longer than twice their height: a longer word comes back thinner from DBNet's kernel with the published growth.
FIRST_WORD = np.array([(12, 10), (108, 10), (108, 58), (12, 58)], np.float32)
SECOND_WORD = np.array([(66, 78), (168, 64), (174, 108), (72, 122)], np.float32)
FIRST_CHARACTERS = np.array([[(x, 12), (x + 16, 12), (x + 16, 56), (x, 56)] for x in range(14, 104, 18)], np.float32)
IGNORED_WORD = np.array([(130, 10), (185, 10), (185, 40), (130, 40)], np.float32)


class TinyEncoder(nn.Module):
    """Four levels of few channels at strides 4, 8, 16 and 32."""

    def __init__(self, channels: tuple[int, ...] = (8, 8, 8, 8)) -> None:
        super().__init__()
        self.channels = channels
        self.strides = (4, 8, 16, 32)
        self.pixel_mean = self.pixel_std = (0.5, 0.5, 0.5)
        inputs = (3, *channels[:-1])
        self.stages = nn.ModuleList(
            nn.Conv2d(before, after, 5, stride=4 if index == 0 else 2, padding=2)
            for index, (before, after) in enumerate(zip(inputs, channels, strict=True))
        )

    def forward(self, images: Tensor) -> Features:
        levels = []
        for stage in self.stages:
            images = torch.relu(stage(images))
            levels.append(images)
        return Features(tuple(levels))


@pytest.fixture(params=detector_names())
def subject(request: pytest.FixtureRequest) -> Subject:
    return make_subject(request.param)


def draw(*instances: TextInstance) -> Sample:
    """A grey image with something written in every polygon that is known."""
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    for instance in instances:
        if instance.polygon is not None:
            cv2.fillPoly(image, [instance.polygon.astype(np.int32)], (200, 180, 160))
            left, top = instance.polygon.min(axis=0).astype(int).tolist()
            cv2.putText(image, "word", (left + 8, top + 32), cv2.FONT_HERSHEY_SIMPLEX, 1, (20, 30, 40), 3)
    meta = ImageMeta(Path("drawn.png"), (HEIGHT, WIDTH), np.eye(3), (HEIGHT, WIDTH))
    return Sample(image, instances, meta)


def two_words() -> Sample:
    return draw(
        TextInstance(FIRST_WORD, "first", characters=FIRST_CHARACTERS),
        TextInstance(SECOND_WORD, None),
        TextInstance(IGNORED_WORD, None, ignore=True),
    )


def shifted() -> Sample:
    offset = np.array((4, 6), np.float32)
    return draw(TextInstance(FIRST_WORD + offset, "first"), TextInstance(SECOND_WORD - offset, "second"))


def images_of(samples: Sequence[Sample]) -> Tensor:
    """(B, 3, H, W) float32, roughly normalised."""
    stacked = torch.from_numpy(np.stack([sample.image for sample in samples]))
    return stacked.permute(0, 3, 1, 2).float() / 128 - 1


def random_features(batch: int = 2, channels: tuple[int, ...] = (8, 8, 8, 8)) -> Features:
    generator = torch.Generator().manual_seed(1)
    return Features(
        tuple(
            torch.randn(batch, count, HEIGHT // stride, WIDTH // stride, generator=generator)
            for count, stride in zip(channels, (4, 8, 16, 32), strict=True)
        )
    )


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    one, other = Polygon(first), Polygon(second)
    return float(one.intersection(other).area / one.union(other).area)


EMPTY_IMAGES = {
    "no text": draw(),
    "only ignored": draw(TextInstance(FIRST_WORD, "first", ignore=True)),
    "everything ignored": draw(
        TextInstance(np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], np.float32), None, ignore=True)
    ),
    "without polygon": draw(TextInstance(None, "first"), TextInstance(None, None)),
    "outside": draw(
        TextInstance(FIRST_WORD + np.float32(900), "first"), TextInstance(FIRST_WORD - np.float32(900), "b")
    ),
    "no extent": draw(TextInstance(np.array([(5, 5), (50, 5), (90, 5)], np.float32), "flat")),
}
MMOCR_PARTS = ("neck.", "det_head.", "rpn_head.", "roi_head.")
"""Prefixes of MMOCR's names, the last two MMDetection's for a detector of two stages."""
PARTLY_OUTSIDE = draw(
    TextInstance(FIRST_WORD - np.float32(40), "first"), TextInstance(SECOND_WORD + np.float32(40), "b")
)


def test_spec_is_named_after_its_folder_and_weighs_every_loss(subject: Subject) -> None:
    assert find_detector(subject.config.name) is subject.spec
    targets = subject.targets([two_words(), shifted()])
    terms = subject.spec.loss(subject.maps(subject.head(), random_features(), targets), targets, subject.config)
    assert set(terms) == set(dict(subject.config.loss_weights))


def test_names_of_mmocr_cover_the_head_without_a_clash(subject: Subject) -> None:
    detector = subject.config.name
    if optional_file(detector, "mmocr") is None:
        with pytest.raises(ConfigError, match=f"{detector} cannot be converted: MMOCR has no such detector"):
            head_prefixes(detector)
        return
    names = [rename_prefix(name, head_prefixes(detector)) for name in subject.head().state_dict()]
    assert all(name is not None and name.startswith(MMOCR_PARTS) for name in names)
    assert len(set(names)) == len(names)


def test_targets_are_pure_and_stackable(subject: Subject) -> None:
    sample = two_words()
    before = [None if i.polygon is None else i.polygon.copy() for i in sample.instances]
    first, again = (subject.spec.targets(sample, subject.config) for _ in range(2))
    for instance, polygon in zip(sample.instances, before, strict=True):
        assert np.array_equal(instance.polygon, polygon)
    nothing = subject.spec.targets(EMPTY_IMAGES["no text"], subject.config)
    for name, array in first.items():
        assert np.array_equal(array, again[name]), name
        assert np.isfinite(array).all(), name
        assert (nothing[name].ndim, nothing[name].dtype) == (array.ndim, array.dtype), name


def test_text_region_agrees_with_the_words(subject: Subject) -> None:
    region, valid = subject.spec.text_region(subject.targets([two_words(), EMPTY_IMAGES["no text"]]))
    assert region.shape == valid.shape
    assert region.shape[0] == 2
    assert set(region.unique().tolist()) == {0, 1}
    assert set(valid.unique().tolist()) == {0, 1}
    scale = region.shape[-1] / WIDTH
    for word, is_text, is_known in ((FIRST_WORD, 1, 1), (SECOND_WORD, 1, 1), (IGNORED_WORD, 0, 0)):
        x, y = (word.mean(axis=0) * scale).astype(int)
        assert (region[0, y, x], valid[0, y, x]) == (is_text, is_known)
    inside = np.zeros(region.shape[-2:], np.uint8)
    for word in (FIRST_WORD, SECOND_WORD):
        cv2.fillPoly(inside, [np.round(word * scale).astype(np.int32)], 1)
    grown = cv2.dilate(inside, np.ones((3, 3), np.uint8))
    assert not region[0][torch.from_numpy(grown == 0)].any()
    assert not region[1].any()
    assert valid[1].all()


def test_losses_are_finite_scalars_and_reach_every_parameter(subject: Subject) -> None:
    network = subject.head()
    targets = subject.targets([two_words(), shifted()])
    maps = subject.maps(network, random_features(), targets)
    terms = subject.spec.loss(maps, targets, subject.config)
    for name, term in terms.items():
        assert (term.shape, term.dtype) == ((), torch.float32), name
        assert term.isfinite(), name
        assert term.requires_grad, name
    subject.total(maps, targets).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("image", EMPTY_IMAGES)
def test_images_without_text_give_finite_losses_and_gradients(subject: Subject, image: str) -> None:
    network = subject.head()
    targets = subject.targets([EMPTY_IMAGES[image]] * 2)
    maps = subject.maps(network, random_features(), targets)
    assert not subject.spec.text_region(targets)[0].any()
    total = subject.total(maps, targets)
    assert total.isfinite()
    total.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_text_partly_outside_is_learnt(subject: Subject) -> None:
    targets = subject.targets([PARTLY_OUTSIDE, shifted()])
    assert subject.spec.text_region(targets)[0][0].any()
    assert subject.total(subject.maps(subject.head(), random_features(), targets), targets).isfinite()


def test_autocast_keeps_losses_in_float32(subject: Subject) -> None:
    network, targets = subject.head(), subject.targets([two_words(), shifted()])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        maps = subject.maps(network, random_features(), targets)
        terms = subject.spec.loss(maps, targets, subject.config)
        found = subject.maps(network, random_features(), None)
    assert any(logits.dtype == torch.bfloat16 for logits in maps.values())
    full = {name: m.float() if m.is_floating_point() else m for name, m in maps.items()}
    plain = subject.spec.loss(full, targets, subject.config)
    for name, term in terms.items():
        assert term.dtype == torch.float32, name
        assert torch.equal(term, plain[name]), name
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert len(subject.spec.decode(found, subject.config)) == 2


def test_head_gives_the_same_maps_in_training_and_evaluation(subject: Subject) -> None:
    network, features = subject.head(), random_features()
    trained, evaluated = network(features), network.eval()(features)
    assert {name: m.shape for name, m in trained.items()} == {name: m.shape for name, m in evaluated.items()}
    alone = network(Features(tuple(level[:1] for level in features.levels)))
    for name, logits in evaluated.items():
        torch.testing.assert_close(alone[name], logits[:1], atol=1e-4, rtol=1e-4)


def test_head_fits_any_channels(subject: Subject) -> None:
    channels = (3, 5, 7, 9)
    network = subject.head(channels).eval()
    for logits in network(random_features(1, channels)).values():
        assert logits.shape[0] == 1
        assert logits.isfinite().all()


def test_perfect_maps_decode_to_the_words(subject: Subject) -> None:
    samples = [two_words(), EMPTY_IMAGES["no text"], shifted()]
    decoded = subject.spec.decode(subject.perfect_maps(subject.targets(samples)), subject.config)
    assert [len(detections) for detections in decoded] == [2, 0, 2]
    for sample, detections in zip(samples, decoded, strict=True):
        for instance in sample.instances:
            polygon = instance.polygon
            if polygon is not None and not instance.ignore:
                assert max(overlap(found.polygon, polygon) for found in detections) > 0.8
        assert all(found.score > subject.examples.least_score for found in detections)


def test_data_sets_can_ask_for_quadrilaterals(subject: Subject) -> None:
    """`decoding.polygon_shape` is a setting of every detector: the configs of data sets have it."""
    decoding = subject.config.decoding.model_copy(update={"polygon_shape": "quad"})
    config = subject.config.model_copy(update={"decoding": decoding})
    assert type(config).model_validate(config.model_dump()) == config, "a value that the setting takes"
    (found,) = subject.spec.decode(subject.perfect_maps(subject.targets([two_words()])), config)
    assert [len(detection.polygon) for detection in found] == [4, 4]


def test_untrained_maps_decode_to_proper_detections(subject: Subject) -> None:
    with torch.no_grad():
        maps = subject.maps(subject.head().eval(), random_features(), None)
        decoded = subject.spec.decode(maps, subject.config)
    assert len(decoded) == 2
    for found in (detection for detections in decoded for detection in detections):
        assert isinstance(found, Detection)
        assert found.polygon.dtype == np.float32
        assert found.polygon.shape == (len(found.polygon), 2)
        assert len(found.polygon) >= 3
        assert np.isfinite(found.polygon).all()
        assert 0 <= found.score <= 1


def test_twenty_steps_reduce_the_loss(subject: Subject) -> None:
    torch.manual_seed(0)
    encoder, network = TinyEncoder(), subject.head()
    optimizer = torch.optim.Adam([*encoder.parameters(), *network.parameters()], lr=5e-3)
    samples = [two_words(), shifted()]
    images, targets = images_of(samples), subject.targets(samples)
    history = []
    for _ in range(20):
        total = subject.total(subject.maps(network, encoder(images), targets), targets)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append(total.item())
    assert min(history[-3:]) < 0.8 * history[0], history
