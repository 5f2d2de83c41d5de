"""Everything that learns runs on a GPU that is not there: no tensor is made on the CPU where the others are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import small_runs
from device_subjects import DEFORMABLE, NAMES, difference, make_subject
from pretended_gpu import GPU, is_resident, pretended_gpu
from scenetext.runs.build import build_trainer
from scenetext.runs.settings import Run
from scenetext.structures import Batch, ImageRecord
from scenetext.training import trainer as trainer_module
from scenetext.training.checkpoint import checkpoints_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*CUDA is not available"),
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set"),
]
CPU = torch.device("cpu")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """The pretended GPU, and what torch would be asked of a true one."""
    state = torch.zeros(16, dtype=torch.uint8)
    monkeypatch.setattr(trainer_module, "process_device", lambda name: GPU)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 2**30)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: state)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda value, device: None)
    # An LSTM (TextBPN) would ask for cuDNN, which is not there.
    with torch.backends.cudnn.flags(enabled=False), pretended_gpu() as device:
        yield device


def test_pretended_gpu_refuses_what_cuda_refuses(gpu: torch.device) -> None:
    here, there = torch.ones(3), torch.ones(3, device=gpu)
    assert (here.device.type, there.device, (there + 1).device) == ("cpu", gpu, gpu)
    assert all(is_resident(value) for value in (there[1:], there.new_zeros(2), torch.zeros_like(there), here.to(there)))
    assert all(is_resident(row) for row in there.view(3, 1))
    assert not any(is_resident(value) for value in (torch.zeros(3), there.cpu(), there.to("cpu", torch.float64)))
    for mix in (
        lambda: here + there,
        lambda: torch.stack([there, here]),
        lambda: torch.where(there > 0, there, here),
        lambda: there[torch.arange(2)],
        lambda: torch.nn.functional.linear(there[None], torch.ones(3, 3)),
    ):
        with pytest.raises(RuntimeError, match="same device"):
            mix()
    for leak in (there.numpy, lambda: np.asarray(there)):
        with pytest.raises(TypeError, match="can't convert cuda"):
            leak()
    assert there.cpu().numpy().tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", [*NAMES, DEFORMABLE])
def test_steps_and_predictions_stay_on_the_device(name: str, gpu: torch.device) -> None:
    subject = make_subject(name, gpu, training={"accumulation": 2, "averaging": {"decay": 0.9}})
    assert all(is_resident(value) for value in subject.learner.module.state_dict().values())
    _, gradients = subject.gradients()
    subject.learner.update()
    assert gradients
    batch = subject.batch.to(gpu)
    assert is_resident(batch.images)
    with torch.no_grad():
        predicted = subject.task.eval().predict(batch)
    metric = subject.task.metric(_records(subject.batch))
    metric.update(batch, predicted)
    assert metric.compute()
    assert subject.task.pictures(batch)


@pytest.mark.parametrize("name", ["dbnet", "oclip"])
def test_numbers_are_those_of_the_cpu(name: str, gpu: torch.device) -> None:
    figures, gradients = make_subject(name, gpu).gradients()
    expected_figures, expected = make_subject(name, CPU).gradients()
    assert figures == pytest.approx(expected_figures, rel=1e-6)
    assert difference(gradients, expected) < 1e-6


def _records(batch: Batch) -> list[ImageRecord]:
    return [ImageRecord(meta.path, 96, 96, ()) for meta in batch.metas]


def _run(kind: str, folder: Path) -> Run:
    run = small_runs.make_run(kind, folder, [str(small_runs.make_set(folder, "words", 6))])
    changed = {"steps": 4, "epochs": None, "evaluate_every": 2, "checkpoint_every": 2, "precision": "fp32"}
    return run.model_copy(update={"training": run.training.model_copy(update={**changed, "averaging": None})})


@pytest.mark.parametrize("kind", ["pretraining", "detection"])
def test_a_whole_training_runs_there_and_goes_on(kind: str, gpu: torch.device, tmp_path: Path) -> None:
    run = _run(kind, tmp_path)
    trainer, _ = build_trainer(run, tmp_path / "run", None, False)
    assert trainer.fit().step == 4
    checkpoints_of(tmp_path / "run")[-1].unlink()
    resumed, _ = build_trainer(run, tmp_path / "run", None, True)
    resumed.resume()
    assert resumed.outcome.step == 2
    assert resumed.fit().figures == pytest.approx(trainer.outcome.figures, nan_ok=True)
    for name, value in trainer.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name]), name
