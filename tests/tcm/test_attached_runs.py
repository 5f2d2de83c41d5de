"""Runs with attached TCM from their words: a detector and a reader learn, are saved, and detect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scenetext.inspection.score_map import text_guidance
from scenetext.runs.build import build_trainer
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import DetectionRun, load_run
from scenetext.tasks.detection import DetectionTask
from scenetext.weights.files import read_weights
from scenetext.weights.image_encoder import extract_image_encoder
from small_runs import make_set

SMALL = (
    *("encoder.attach.encoder.width=4", "evaluation_transform.long_side=64", "transform.size=[64,64]"),
    *("loader.batch_size=2", "loader.workers=0", "training.device=cpu", "training.pictures=0"),
    *("training.steps=2", "training.evaluate_every=2", "training.checkpoint_every=2", "schedule.warmup_steps=0"),
)


@pytest.mark.parametrize("reader", [[], ["reader"]], ids=["dbnet", "reader"])
@pytest.mark.parametrize("variant", ["attached_tcm", "attached_fasttcm"])
def test_two_steps_of_a_run_and_what_it_saved(variant: str, reader: list[str], tmp_path: Path) -> None:
    records = make_set(tmp_path, "few", 4)
    words = ["dbnet", "scenes", *reader, variant, "tiny", *SMALL, f"data.train=[{records}]"]
    run = load_run([*words, f"data.validation=[{records}]"], DetectionRun)
    trainer, _ = build_trainer(run, tmp_path / "out")
    before = {name: value.clone() for name, value in trainer.module.state_dict().items()}
    assert trainer.fit().step == 2
    task, read, _ = load_trained_task(tmp_path / "out" / "best.pt", DETECTION)
    assert read == run
    assert isinstance(task, DetectionTask)
    assert "matching" in task.loss_weights
    moved = {name for name, value in task.state_dict().items() if not torch.equal(value, before[name])}
    assert {"encoder.addition", "encoder.projection.0.weight", "encoder.image.layer4.0.conv1.weight"} <= moved
    assert not any(name.startswith("encoder.text_encoder.") for name in moved)
    guidance = text_guidance(task, np.zeros((64, 48, 3), np.uint8), torch.device("cpu"))
    assert [score.shape for score in guidance.scores.values()] == [(4, 3)], "stride 16, without padding"
    image = extract_image_encoder(read_weights(tmp_path / "out" / "best.pt"))
    assert image.settings["width"] == 4
