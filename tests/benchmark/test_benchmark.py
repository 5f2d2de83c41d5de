"""Benchmarks: the parts are those of the model, counts are those of its definition."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from scenetext.benchmark.measurements import Measurement, memory_kept, operations, reset_peak_memory
from scenetext.benchmark.overhead import bare_step, measure_overhead, time_waiting
from scenetext.benchmark.parts import time_parts
from scenetext.benchmark.preparation import PublishedPreparation
from scenetext.benchmark.run import count_detector, first_batch, measure
from scenetext.data.records.files import write_records
from scenetext.data.records.images import encode_image, write_image
from scenetext.errors import ConfigError
from scenetext.reproduction.measured import BENCHMARK_NAMES
from scenetext.reproduction.tables import COUNTS
from scenetext.runs.build import build_task, build_trainer
from scenetext.runs.settings import Run, check_run
from scenetext.structures import ImageRecord, TextInstance
from scenetext.training.device import peak_memory
from scenetext.training.optimizers import set_learning_rate
from scenetext.training.trainer import Trainer

ENCODER = {"layers": [1, 1, 1, 1], "width": 8}
METHOD = {
    **{"encoder": ENCODER, "input_size": 64, "embed_dim": 32, "text_width": 16, "text_heads": 2, "text_layers": 1},
    **{"decoder_layers": 1, "decoder_heads": 2, "maximum_words": 4},
}
DETECTOR = {"name": "dbnet", "inner_channels": 16, "level_channels": 8}
TCM = {
    **{"name": "tcm", "fast": True, "input_size": 64, "embed_dim": 16, "text_weights": "none"},
    **{"text": {"width": 8, "heads": 2, "layers": 1}, "decoder": {"width": 8, "heads": 2, "layers": 1}},
}
TCM_PARTS = [
    f"encoder: {part}"
    for part in ("image levels", "attention pool", "text feature", "visual prompt", "text refinement")
]


def make_trainer(folder: Path, kind: str, **method: object) -> Trainer:
    polygon = np.array([[10, 10], [50, 10], [50, 40], [10, 40]], dtype=np.float32)
    records = []
    for number, word in enumerate(("stop", "a", "OPEN", "bank")):
        path = folder / f"{number}.png"
        write_image(path, np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8))
        records.append(ImageRecord(path, 64, 64, (TextInstance(polygon, word),) * (1 + number % 3)))
    write_records(folder / "records.jsonl", records)
    values: dict[str, Any] = {
        "kind": kind,
        "data": {"train": [str(folder / "records.jsonl")], "validation": [str(folder / "records.jsonl")]},
        "loader": {"batch_size": 4, "workers": 0},
        "optimizer": {"learning_rate": 1e-4},
        "training": {"steps": 5, "evaluate_every": 5, "device": "cpu"},
    }
    if kind == "pretraining":
        values |= {"method": {**METHOD, **method}, "transform": {"size": 64}}
    else:
        values |= {
            "encoder": {"name": "clip_resnet", **ENCODER, **method},
            "detector": DETECTOR,
            "transform": {"size": [64, 64]},
        }
        values["evaluation_transform"] = {"long_side": 64, "short_side": 64}
    return build_trainer(check_run(values, "test"), folder / "run")[0]


def names(metrics: list[Measurement]) -> list[str]:
    return [metric.name for metric in metrics]


def both(*parts: str) -> list[str]:
    return [f"{part}, {way}" for part in parts for way in ("forward", "forward and backward")]


@pytest.mark.parametrize(
    ("kind", "method", "parts"),
    [
        ("pretraining", {}, both("image tower", "attention pool", "text encoder", "decoder", "losses")),
        ("pretraining", {"first_stage": True}, both("image tower", "attention pool", "text encoder", "losses")),
        ("detection", {}, [*both("encoder", "head", "losses"), "decode, forward"]),
        ("detection", TCM, [*both("encoder", *TCM_PARTS, "head", "losses"), "decode, forward"]),
        (
            "detection",
            {**TCM, "visual_prompt": False, "text_refinement": False},
            [*both("encoder", *TCM_PARTS[:3], "head", "losses"), "decode, forward"],
        ),
    ],
    ids=["pretraining", "first stage", "detection", "tcm", "tcm without decoders"],
)
def test_every_part_is_timed(tmp_path: Path, kind: str, method: dict[str, object], parts: list[str]) -> None:
    trainer = make_trainer(tmp_path, kind, **method)
    metrics = time_parts(trainer, first_batch(trainer.training_data, 4), 2)
    assert names(metrics) == ["pixel normalisation, forward", *parts, "optimiser update"]
    assert all(0 < metric.low <= metric.value <= metric.high for metric in metrics)
    assert trainer.module.training
    assert all(parameter.grad is None for parameter in trainer.module.parameters())


def test_metrics_of_a_run(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, "pretraining")
    metrics = {metric.name: metric.value for metric in measure(trainer, 1)}
    assert metrics["parameters"] == pytest.approx(sum(p.numel() for p in trainer.module.parameters()) / 1e6)
    assert metrics["peak memory of training steps"] > 50
    assert metrics["loader, one core"] > 0
    assert metrics["loader, 0 processes"] > 0
    assert metrics["published oCLIP preparation, one core"] > 0


def test_published_preparation_crops_resizes_and_normalises() -> None:
    grey = np.full((90, 160, 3), 128, np.uint8)
    grey[0, 0] = 255
    made = PublishedPreparation()(encode_image(grey, Path("grey.png")))
    assert made.shape == (3, 512, 512)
    expected = (128 / 255 - torch.tensor([0.4814, 0.4578, 0.4082])) / torch.tensor([0.2686, 0.2613, 0.2758])
    assert torch.allclose(made[:, -1, -1], expected)


def test_peak_memory_sees_what_was_given_back() -> None:
    device = torch.device("cpu")
    gc.collect()  # what earlier tests left is not to be given back in between
    reset_peak_memory(device)
    before = peak_memory(device)
    torch.ones(64 << 20, dtype=torch.uint8).sum()
    assert peak_memory(device) >= before + (32 << 20)


def test_kept_memory_is_that_of_the_saved_activations(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, "pretraining")
    trainer.module.train()

    def kept(images: int) -> float:
        batch = first_batch(trainer.training_data, images)
        return memory_kept(trainer.module, lambda: trainer.task(batch))

    once = kept(4)
    assert once == kept(4)
    assert 1.8 < kept(8) / once < 2.05
    with sdpa_kernel([SDPBackend.MATH]):  # attention that writes its weights to memory
        assert kept(4) > once


def test_a_bare_step_learns_what_the_trainer_learns(tmp_path: Path) -> None:
    """So that the difference of their times is that of the loop alone."""
    one, other = (make_trainer(tmp_path / name, "detection") for name in ("one", "other"))
    other.module.load_state_dict(one.module.state_dict())
    batch = first_batch(one.training_data, 4)
    rate = one.learner.learning_rate = other.learner.learning_rate = 1e-4
    for trainer in (one, other):
        set_learning_rate(trainer.learner.optimizer, rate)
        trainer.learner.optimizer.zero_grad()
    metrics = one.learner.accumulate(batch, step=one.total_steps // 2)
    set_learning_rate(one.learner.optimizer, rate)
    one.learner.update()
    assert bare_step(other, batch) == pytest.approx(metrics["loss"])
    for name, value in one.module.state_dict().items():
        torch.testing.assert_close(other.module.state_dict()[name], value, msg=name)


def test_overhead_and_waiting_are_shares_of_real_steps(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, "detection")
    metrics = {metric.name: metric for metric in measure_overhead(trainer, 3)}
    step, line = metrics["step of the trainer"], metrics["line of the log"]
    fastest = step.low + line.low / trainer.settings.log_every
    share = 100 * (fastest / metrics["bare step"].low - 1)
    assert metrics["overhead of the trainer, fastest steps"].value == pytest.approx(share)
    waiting = time_waiting(trainer, 3)
    assert 0 < waiting.low <= waiting.high < 100


def detector_run(**changes: Any) -> Run:
    values = {
        **{"kind": "detection", "encoder": {"name": "clip_resnet", **ENCODER}, "detector": DETECTOR},
        **{
            "data": {"train": ["gone.jsonl"], "validation": ["gone.jsonl"]},
            "training": {"steps": 1, "evaluate_every": 1},
        },
    }
    return check_run({**values, **changes}, "test")


def test_a_detector_is_counted_without_data() -> None:
    run = detector_run()
    counted = {metric.name: metric.value for metric in count_detector(run, 64, 96)}
    parameters = sum(parameter.numel() for parameter in build_task(run).parameters()) / 1e6
    assert counted["parameters"] == counted["trainable parameters"] == pytest.approx(parameters)
    twice = {metric.name: metric.value for metric in count_detector(run, 128, 192)}
    operations = "inference operations per image"
    assert twice[operations] == pytest.approx(4 * counted[operations]), "convolutions alone: as many as pixels"


def test_tables_of_papers_find_their_metrics_under_these_names(tmp_path: Path) -> None:
    counted = {metric.name for metric in count_detector(detector_run(), 64, 64)}
    measured = {metric.name for metric in measure(make_trainer(tmp_path, "detection"), 1)}
    assert {BENCHMARK_NAMES[metric] for metric in COUNTS} == counted
    assert BENCHMARK_NAMES["images_per_second"] in measured


def test_what_is_frozen_is_not_counted_as_trained() -> None:
    run = detector_run(optimizer={"groups": [{"pattern": "encoder.*", "learning_rate_factor": 0}]})
    counted = {metric.name: metric.value for metric in count_detector(run, 64, 64)}
    encoder = sum(value.numel() for name, value in build_task(run).named_parameters() if name.startswith("encoder."))
    assert counted["trainable parameters"] == pytest.approx(counted["parameters"] - encoder / 1e6)


def test_counting_refuses_other_runs_and_sizes() -> None:
    with pytest.raises(ConfigError, match="multiples of 32"):
        count_detector(detector_run(), 64, 100)
    values = {"kind": "pretraining", "method": METHOD, "data": {"train": ["gone.jsonl"], "validation": ["gone.jsonl"]}}
    with pytest.raises(ConfigError, match="are counted of detectors"):
        count_detector(check_run({**values, "training": {"steps": 1, "evaluate_every": 1}}, "test"), 64, 64)


def test_deformable_convolutions_are_counted_as_ordinary_ones() -> None:
    deform_conv2d = pytest.importorskip("torchvision.ops").deform_conv2d
    images, weight = torch.ones(2, 8, 16, 20, requires_grad=True), torch.ones(4, 8, 3, 3, requires_grad=True)
    offsets = torch.zeros(2, 18, 8, 10, requires_grad=True)

    def ordinary() -> Tensor:
        return F.conv2d(images, weight, stride=2, padding=1)

    def deformable() -> Tensor:
        return deform_conv2d(images, offsets, weight, stride=2, padding=1)

    assert operations(deformable) == operations(ordinary) == pytest.approx(2 * 2 * 8 * 10 * 4 * 8 * 9 / 1e9)
    backward = operations(lambda: deformable().sum().backward())
    assert backward == operations(lambda: ordinary().sum().backward()) == pytest.approx(3 * operations(ordinary))
