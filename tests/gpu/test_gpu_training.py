"""Whole trainings on a GPU: going on, the same bits where asked for, memory, transfers, and decoding elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import small_runs
from device_subjects import DEFORMABLE, NAMES, Size, difference, make_subject
from scenetext.data.loading.loader import training_loader
from scenetext.errors import ConfigError, DeviceError
from scenetext.inspection.machine import run_checks
from scenetext.runs.build import build_trainer
from scenetext.runs.settings import Run
from scenetext.structures import Detection
from scenetext.training.checkpoint import checkpoints_of
from scenetext.training.device import resolve_device
from scenetext.training.evaluation import evaluate
from scenetext.training.trainer import Trainer

pytestmark = pytest.mark.gpu
CPU = torch.device("cpu")


def small_run(kind: str, folder: Path, device: torch.device, **training: Any) -> Run:
    """Four steps with an evaluation and a checkpoint after every second."""
    path = folder / "words.jsonl"
    run = small_runs.make_run(kind, folder, [str(path if path.exists() else small_runs.make_set(folder, "words", 8))])
    values = {"steps": 4, "epochs": None, "evaluate_every": 2, "checkpoint_every": 2, "device": device.type, **training}
    return run.model_copy(update={"training": run.training.model_copy(update=values)})


def trained(run: Run, folder: Path, resume: bool = False) -> Trainer:
    trainer, _ = build_trainer(run, folder, None, resume)
    if resume:
        trainer.resume()
        assert trainer.outcome.step == 2
    assert trainer.fit().step == 4
    return trainer


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.float().cpu() for name, value in trainer.module.state_dict().items()}


@pytest.mark.parametrize("kind", ["pretraining", "detection"])
def test_a_resumed_run_ends_with_the_same_numbers(kind: str, device: torch.device, tmp_path: Path) -> None:
    run = small_run(kind, tmp_path, device)
    whole = trained(run, tmp_path / "run")
    checkpoints_of(tmp_path / "run")[-1].unlink()
    resumed = trained(run, tmp_path / "run", resume=True)
    assert difference(weights(resumed), weights(whole)) < 1e-3
    assert next(iter(whole.module.parameters())).device == device


@pytest.fixture
def _deterministic() -> Iterator[None]:
    benchmark = torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = benchmark


@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("kind", ["pretraining", "detection"])
def test_a_deterministic_run_ends_with_the_same_bits(kind: str, device: torch.device, tmp_path: Path) -> None:
    run = small_run(kind, tmp_path, device, deterministic=True)
    whole = trained(run, tmp_path / "run")
    assert torch.are_deterministic_algorithms_enabled()
    again = trained(run, tmp_path / "again")
    checkpoints_of(tmp_path / "run")[-1].unlink()
    resumed = trained(run, tmp_path / "run", resume=True)
    assert difference(weights(again), weights(whole)) == 0
    assert difference(weights(resumed), weights(whole)) == 0


@pytest.mark.usefixtures("_deterministic")
@pytest.mark.parametrize("name", NAMES)
def test_every_learner_has_a_deterministic_form(name: str, device: torch.device) -> None:
    torch.use_deterministic_algorithms(True)
    (_, first), (_, second) = (make_subject(name, device).gradients() for _ in range(2))
    assert difference(first, second) == 0


@pytest.mark.usefixtures("_deterministic")
def test_what_has_no_deterministic_form_is_named(gpu: torch.device, tmp_path: Path) -> None:
    trainer = trained(small_run("detection", tmp_path, gpu, deterministic=True), tmp_path / "run")
    deformable = make_subject(DEFORMABLE, gpu)
    trainer.learner = deformable.learner
    with pytest.raises(ConfigError, match=r"training\.deterministic: .*deterministic implementation"):
        trainer.train_step(deformable.batch)


@pytest.mark.parametrize("name", ["dbnet", "oclip"])
def test_averages_and_accumulated_steps_are_those_of_the_cpu(name: str, device: torch.device, size: Size) -> None:
    changes = []
    for where in (device, CPU):
        subject = make_subject(name, where, size, {"averaging": {"decay": 0.9}, "accumulation": 2})
        average = subject.learner.average
        assert average is not None
        before = {label: value.clone() for label, value in average.averages.items()}
        for _ in range(2):
            subject.gradients()
            subject.learner.update()
        with subject.learner.evaluated_weights():
            assert subject.outputs()
        assert all(value.device == where for value in average.averages.values())
        changes.append({label: (value - before[label]).cpu() for label, value in average.averages.items()})
    assert difference(*changes) < 0.05


def test_batches_travel_through_pinned_memory(gpu: torch.device, tmp_path: Path) -> None:
    trainer, _ = build_trainer(small_run("detection", tmp_path, gpu), tmp_path / "run", None, False)
    loader = trainer.loader.model_copy(update={"workers": 2})
    batches = list(training_loader(trainer.training_data, loader, 0, 0, 3, pin_memory=True))
    assert len(batches) == 3
    for batch in batches:
        assert batch.images.is_pinned()
        assert all(value.is_pinned() for value in batch.targets.values())
        for part in batch.micro_batches(2):
            moved = part.to(gpu)
            assert torch.equal(moved.images.cpu(), part.images)
            assert moved.images.is_contiguous(memory_format=torch.channels_last)


def test_decoding_in_other_processes_finds_the_same(device: torch.device, tmp_path: Path) -> None:
    """They are started while CUDA is in use here."""
    trainer, _ = build_trainer(small_run("detection", tmp_path, device), tmp_path / "run", None, False)
    task: Any = trainer.task
    found = []
    for workers in (0, 2):
        task.evaluation = task.evaluation.model_copy(update={"decode_workers": workers})
        metric = task.metric(trainer.validation_data.records)
        detections: dict[Path, list[Detection]] = {}
        collector = task.collector(detections.__setitem__)
        for take in (metric.update, collector.update):
            with trainer.learner.autocast():
                evaluate(task, trainer.validation_data, take, trainer.loader, device)
        collector.finish()
        polygons = {path.name: [one.polygon.tolist() for one in texts] for path, texts in detections.items()}
        found.append((metric.compute(), polygons))
    assert found[1][1] == found[0][1]
    assert found[1][0] == pytest.approx(found[0][0], nan_ok=True)


def test_full_memory_ends_a_step_with_advice(gpu: torch.device, tmp_path: Path) -> None:
    trainer, _ = build_trainer(small_run("detection", tmp_path, gpu), tmp_path / "run", None, False)
    batch = next(iter(training_loader(trainer.training_data, trainer.loader, 0, 0, 1)))
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-5, gpu)
    try:
        with pytest.raises(DeviceError, match=r"memory of cuda:0 ran out: .*accumulation.*loader\.batch_size"):
            trainer.train_step(batch)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, gpu)
    assert torch.tensor(trainer.train_step(batch)["loss"]).isfinite(), "with memory it goes on"


def test_kernels_that_are_missing_are_noticed_before_a_step(
    gpu: torch.device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_37"])
    with pytest.raises(DeviceError, match="has no kernels for"):
        build_trainer(small_run("detection", tmp_path, gpu), tmp_path / "run", None, False)
    assert resolve_device("auto") == CPU


def test_the_doctor_finds_the_gpu_ready(gpu: torch.device) -> None:
    (check,) = [check for check in run_checks() if check.name == "gpu 0"]
    assert check.status == "ok", check.detail
