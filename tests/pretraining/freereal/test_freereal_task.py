"""FreeReal as a run: a tiny DBNet that starts from a detector's checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from processes import in_processes
from scenetext.config import override_values
from scenetext.data.records.files import write_records
from scenetext.data.records.images import write_image
from scenetext.distributed import Processes
from scenetext.errors import CheckpointError, ConfigError, DataError, TrainingError
from scenetext.pretraining.freereal.task import FreeRealTask
from scenetext.runs.build import build_trainer
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import Run, check_run
from scenetext.structures import Detection, ImageRecord, TextInstance
from scenetext.training.checkpoint import checkpoint_path, load_checkpoint
from scenetext.training.trainer import Trainer
from scenetext.training.window import StepWindow
from small_runs import WORD, make_run, make_set

WEIGHTS = "detector/best.pt"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six glyph layers, five unlabelled images, one of which has a word in its record, and a trained detector."""
    folder = tmp_path_factory.mktemp("freereal")
    generator = np.random.default_rng(0)
    layers, images = [], []
    for number in range(6):
        pixels = generator.integers(0, 255, (64, 64, 4), dtype=np.uint8)
        pixels[..., 3] = 0
        pixels[14:36, 14:46, 3] = 255
        write_image(folder / f"layer_{number}.png", pixels)
        layers.append(ImageRecord(folder / f"layer_{number}.png", 64, 64, (TextInstance(WORD, "word"),)))
        write_image(folder / f"photo_{number}.png", generator.integers(0, 255, (80, 90, 3), dtype=np.uint8))
        words = (TextInstance(WORD, "real"),) if number == 0 else ()
        images.append(ImageRecord(folder / f"photo_{number}.png", 90, 80, words))
    write_records(folder / "layers.jsonl", layers)
    write_records(folder / "photos.jsonl", images)
    make_set(folder, "validation", 2)
    run = make_run("detection", folder, [str(folder / "layers.jsonl")])
    trainer, _ = build_trainer(
        run.model_copy(update={"training": run.training.model_copy(update={"epochs": None, "steps": 1})}),
        folder / "detector",
    )
    trainer.fit()
    return folder


def freereal(folder: Path, *settings: str) -> Run:
    detection = make_run("detection", folder, [str(folder / "layers.jsonl")]).model_dump(mode="json")
    for key in ("reader", "initial_weights", "initial_weights_except"):
        detection.pop(key)
    values: dict[str, Any] = {**detection, "kind": "pretraining", "method": {"name": "freereal"}}
    values["data"]["unlabelled"] = [str(folder / "photos.jsonl")]
    values["initial_weights"] = str(folder / WEIGHTS)
    values["training"] |= {"epochs": None, "steps": 4, "evaluate_every": 2, "checkpoint_every": 2}
    return check_run(override_values(values, settings), "freereal.yaml")


def see_a_word_everywhere(trainer: Trainer, score: float = 0.9) -> None:
    """In place of a detector that has learnt to: the teacher detects one box in every image."""
    task = trainer.task
    assert isinstance(task, FreeRealTask)
    box = np.array([[40, 40], [60, 40], [60, 50], [40, 50]], dtype=np.float32)
    task.pseudo_labels = lambda images: [[Detection(box, score)] for _ in images]  # type: ignore[method-assign]


def weights_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.module.state_dict().items()}


def test_the_teacher_follows_by_the_formula_and_starts_equal(folder: Path, tmp_path: Path) -> None:
    trainer, remarks = build_trainer(freereal(folder, "method.decay=0.9"), tmp_path)
    assert any("1 of 6 images have text in their records; it is not learnt from" in remark for remark in remarks)
    see_a_word_everywhere(trainer)
    expected = {name: value for name, value in weights_of(trainer).items() if name.startswith("teacher.")}
    detector = load_checkpoint(folder / WEIGHTS)["model"]
    assert all(torch.equal(expected[f"teacher.{name}"], value) for name, value in detector.items())
    batches = trainer._timed_batches(StepWindow())
    for _ in range(3):
        trainer.train_step(next(batches))
        student = weights_of(trainer)
        for name, value in expected.items():
            if value.is_floating_point():
                value.mul_(0.9).add_(student[name.removeprefix("teacher.")], alpha=0.1)
    found = weights_of(trainer)
    for name, value in expected.items():
        if value.is_floating_point():
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7)
    assert any(not torch.equal(found[name], found[name.removeprefix("teacher.")]) for name in expected)


def trained_teacher(processes: Processes, folder: Path, output: Path) -> dict[str, torch.Tensor]:
    trainer, _ = build_trainer(freereal(folder, "method.decay=0.5"), output, processes=processes)
    see_a_word_everywhere(trainer)
    trainer.fit()
    return {name: value.detach() for name, value in trainer.module.named_parameters() if name.startswith("teacher.")}


def test_two_processes_have_one_teacher(folder: Path, tmp_path: Path) -> None:
    first, second = in_processes(trained_teacher, 2, tmp_path / "results", folder, tmp_path / "run")
    start = load_checkpoint(folder / WEIGHTS)["model"]
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert any(not torch.equal(value, start[name.removeprefix("teacher.")]) for name, value in first.items())


@pytest.mark.parametrize("glyphs", ["true", "false"])
def test_killed_and_resumed_equals_never_stopped(folder: Path, tmp_path: Path, glyphs: str) -> None:
    """To the bit: student, teacher, what was counted; all that a step draws comes from seeds of samples."""
    run = freereal(folder, f"method.glyphs={glyphs}")
    whole, _ = build_trainer(run, tmp_path / "whole")
    see_a_word_everywhere(whole)
    whole.fit()
    killed = checkpoint_path(tmp_path / "killed", 2)
    killed.parent.mkdir(parents=True)
    shutil.copy(checkpoint_path(tmp_path / "whole", 2), killed)
    resumed, _ = build_trainer(run, tmp_path / "killed", resume=True)
    see_a_word_everywhere(resumed)
    resumed.resume()
    assert resumed.outcome.step == 2
    resumed.fit()
    expected = weights_of(whole)
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(resumed).items())
    assert resumed.outcome.figures == pytest.approx(whole.outcome.figures, nan_ok=True, rel=0, abs=0)


def test_the_mixture_has_pasted_words_pseudo_labels_and_an_ignored_band(folder: Path, tmp_path: Path) -> None:
    trainer, _ = build_trainer(freereal(folder, "method.partner.probability=0"), tmp_path)
    task = trainer.task
    assert isinstance(task, FreeRealTask)
    batch = next(trainer._timed_batches(StepWindow()))
    for score, ignored in ((0.9, False), (0.5, True)):
        see_a_word_everywhere(trainer, score)
        mixed = task.mixed(batch)
        assert mixed.images.shape == batch.images.shape
        assert not torch.equal(mixed.images, batch.images)
        sample = task._last_mixed[0]
        assert any(instance.ignore == ignored for instance in sample.instances)
    see_a_word_everywhere(trainer, 0.2)
    task.mixed(batch)
    texts = trainer.task.metric(trainer.validation_data.records)
    counted = dict(zip(("images", "sure", "unsure"), texts.pseudo, strict=False))  # type: ignore[attr-defined]
    assert counted == {"images": 12, "sure": 4, "unsure": 4}


def test_a_teacher_that_finds_nothing_stops_the_run(folder: Path, tmp_path: Path) -> None:
    trainer, _ = build_trainer(freereal(folder), tmp_path)
    see_a_word_everywhere(trainer, 0.5)
    with pytest.raises(TrainingError, match=r"finds no sure text .* lower method\.sure 0\.7 and method\.unsure 0\.3"):
        trainer.fit()


def test_the_teacher_is_what_a_detector_starts_from_and_what_detects(folder: Path, tmp_path: Path) -> None:
    trainer, _ = build_trainer(freereal(folder, "method.decay=0.5"), tmp_path / "pretraining")
    see_a_word_everywhere(trainer)
    trainer.fit()
    best = tmp_path / "pretraining" / "best.pt"
    stored = load_checkpoint(best)["model"]
    detection = make_run("detection", folder, [str(folder / "layers.jsonl")])
    started, remarks = build_trainer(detection.model_copy(update={"initial_weights": best}), tmp_path / "detector")
    for name, value in started.module.state_dict().items():
        assert torch.equal(value, stored[f"teacher.{name}"]), name
    assert any("initial weights" in remark for remark in remarks)
    task, run, _ = load_trained_task(best, DETECTION)
    assert (run.kind, run.data.train) == ("detection", detection.data.train)
    for name, value in task.state_dict().items():
        assert torch.equal(value, stored[f"teacher.{name}"]), name


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (["training.averaging.decay=0.9"], ConfigError, "the teacher is an average of the weights already"),
        (["method.unsure=0.8"], ConfigError, "unsure 0.8 is above sure 0.7"),
        (["encoder.width=16"], CheckpointError, "does not fit|other shapes|shape"),
        (["data.unlabelled=[]"], DataError, "data.unlabelled"),
    ],
)
def test_what_contradicts_the_method_is_refused(
    folder: Path, tmp_path: Path, settings: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_trainer(freereal(folder, *settings), tmp_path)


def test_images_to_measure_on_are_refused_among_the_unlabelled(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"data\.unlabelled: 2 of its images, such as validation_0\.png, are also measured"
    ):
        build_trainer(freereal(folder, f"data.unlabelled=[{folder / 'validation.jsonl'}]"), tmp_path)


def test_overfitting_is_refused_and_plain_images_are_no_layers(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--overfit: a teacher has nothing to add"):
        build_trainer(freereal(folder), tmp_path, overfit=2)
    plain = make_set(tmp_path, "plain", 4)
    trainer, _ = build_trainer(freereal(folder, f"data.train=[{plain}]"), tmp_path / "run")
    with pytest.raises(DataError, match=r"plain_\d\.png: is no glyph layer.*scenetext generate --glyphs"):
        trainer.fit()
