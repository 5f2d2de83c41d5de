"""A GPU computes what the CPU does: in fp32 within rounding, in bf16 and fp16 near it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from detector_subjects import make_subject as make_detector
from device_subjects import (
    DEFORMABLE,
    NAMES,
    Size,
    Subject,
    cosine,
    difference,
    draw,
    look_at_same_places,
    make_subject,
)
from scenetext.benchmark.detection import softened
from scenetext.detectors import detector_names
from scenetext.structures import Detection
from scenetext.tasks.detection import DetectionTask
from scenetext.training import learner as learner_module
from text_samples import overlap

pytestmark = pytest.mark.gpu
CPU = torch.device("cpu")
FP32 = 1e-3
"""Relative difference of outputs and losses. Two kernels of one CPU differ by 1e-6 and 7e-4 on RN50."""
FP32_GRADIENTS = 0.05
"""Relative difference of gradients, which pass through choices (ReLUs, hardest pixels) that rounding turns: two kernels
of one CPU differ by 0.01 on RN50."""
HALF: dict[str, tuple[float, float]] = {"bf16": (0.2, 0.6), "fp16": (0.05, 0.8)}
"""Relative difference to fp32 of outputs and losses, and least cosine between gradients. On a CPU: 0.09 and 0.82 in
bf16 (8 bits), 0.02 and 0.98 in fp16 (11 bits)."""
SAFE_SCALE = 64.0
"""A loss scale at which gradients of fresh networks fit into fp16."""


@pytest.fixture(autouse=True)
def _fp16_on_a_cpu(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a dry run on the CPU compute in fp16, which users are refused there."""
    if device.type == "cpu":
        monkeypatch.setattr(learner_module, "resolve_precision", lambda precision, device: precision)


@pytest.mark.parametrize("name", [*NAMES, DEFORMABLE])
def test_outputs_losses_and_gradients_are_those_of_the_cpu(name: str, device: torch.device, size: Size) -> None:
    found, expected = make_subject(name, device, size), make_subject(name, CPU, size)
    look_at_same_places(found, expected)
    (expected_figures, expected_gradients), (figures, gradients) = expected.gradients(), found.gradients()
    assert figures.pop("gradient_norm") == pytest.approx(expected_figures.pop("gradient_norm"), rel=FP32_GRADIENTS)
    assert figures == pytest.approx(expected_figures, rel=FP32, abs=1e-5)
    assert difference(gradients, expected_gradients) < FP32_GRADIENTS
    statistics = dict(found.task.named_buffers())
    for label, value in expected.task.named_buffers():
        torch.testing.assert_close(statistics[label].cpu(), value, rtol=FP32, atol=FP32)
    outputs = expected.outputs()
    assert difference(found.outputs(), outputs) < FP32


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("name", [*NAMES, DEFORMABLE])
def test_half_precision_is_finite_and_near(name: str, precision: str, device: torch.device, size: Size) -> None:
    if device.type == "cpu" and name == DEFORMABLE:
        pytest.skip("takes a CPU too long: it has no tiny size")
    if device.type == "cpu" and name == "textbpn" and precision == "fp16":
        pytest.skip("a CPU has no LSTM in fp16")
    exact, half = make_subject(name, device, size), make_subject(name, device, size, {"precision": precision})
    _set_scale(half, SAFE_SCALE)
    most, least_cosine = HALF[precision]
    look_at_same_places(half, exact)
    outputs = exact.outputs()
    assert difference(half.outputs(), outputs) < most
    (exact_figures, exact_gradients), (figures, gradients) = exact.gradients(), half.gradients()
    assert figures.pop("gradient_norm") == pytest.approx(exact_figures.pop("gradient_norm"), rel=0.5)
    assert figures == pytest.approx(exact_figures, rel=most, abs=1e-3)
    assert name == DEFORMABLE or cosine(gradients, exact_gradients) > least_cosine
    half.learner.update()
    assert half.learner.overflows == 0
    assert all(value.isfinite().all() for value in half.task.state_dict().values())


def test_an_overflow_is_skipped_and_counted(device: torch.device, size: Size) -> None:
    subject = make_subject("dbnet", device, size, {"precision": "fp16"})
    _set_scale(subject, 2.0**40)
    before = {name: value.clone() for name, value in subject.task.named_parameters()}
    figures, _ = subject.gradients()
    assert subject.learner.overflowed(figures)
    subject.learner.update(overflowed=True)
    assert subject.learner.scaling() == {"loss_scale": 2.0**39, "overflows": 1.0}
    assert all(torch.equal(value, before[name]) for name, value in subject.task.named_parameters())


def _set_scale(subject: Subject, scale: float) -> None:
    scaler = subject.learner.scaler
    if scaler.is_enabled():
        scaler.load_state_dict({**scaler.state_dict(), "scale": scale})


@pytest.mark.parametrize("name", detector_names())
def test_detections_do_not_depend_on_where_and_how_exactly_maps_lie(name: str, device: torch.device) -> None:
    """Maps as a network gives them: as they are, off by what fp32 may be off, and in the two half precisions."""
    detector = make_detector(name)
    perfect = detector.perfect_maps(detector.targets([draw(index, 192) for index in range(2)]))
    maps = softened(perfect, detector.examples.soft_maps, seed=0)
    expected = detector.spec.decode(maps, detector.config)
    assert all(expected)
    on_device = {label: value.to(device) for label, value in maps.items()}
    # What stages add, "<stage>.<key>", is places and truth values, and never in half precision.
    own = {label for label in on_device if "." not in label}
    for alike in (on_device, {**on_device, **{label: _nudged(on_device[label]) for label in own}}):
        _assert_same_texts(detector.spec.decode(alike, detector.config), expected, least_overlap=0.98)
    for kind in (torch.bfloat16, torch.float16):
        half = {**on_device, **{label: on_device[label].to(kind) for label in own}}
        _assert_same_texts(detector.spec.decode(half, detector.config), expected, least_overlap=0.8)


def _nudged(value: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return value * (1 + FP32 * torch.randn(value.shape, generator=generator).to(value.device))


def _assert_same_texts(found: list[list[Detection]], expected: list[list[Detection]], least_overlap: float) -> None:
    for here, there in zip(found, expected, strict=True):
        assert len(here) == len(there)
        for one in here:
            best = max(there, key=lambda other: overlap(one.polygon, other.polygon))
            assert overlap(one.polygon, best.polygon) > least_overlap
            assert abs(one.score - best.score) < 0.02


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("oclip")])
def test_a_detector_finds_in_an_image_what_is_in_its_maps(name: str, device: torch.device) -> None:
    """Views, transfers and decoding of a whole task, in the maps that it has itself made on the device."""
    subject = make_subject(name, device, training={"precision": "bf16"})
    task, batch = subject.task.eval(), subject.batch
    assert isinstance(task, DetectionTask)
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
        found = task.detect(batch.to(device))
        maps = {label: value.cpu() for label, value in task.maps(batch.images.to(device)).items()}
    expected = task.spec.decode(maps, task.config)
    assert [len(image) for image in found] == [len(image) for image in expected]
