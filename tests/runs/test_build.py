"""What a run starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenetext.data.records.files import write_records
from scenetext.data.records.images import write_image
from scenetext.errors import CheckpointError
from scenetext.runs.build import build_task, build_trainer, describe_run
from scenetext.runs.settings import Run, check_run
from scenetext.structures import ImageRecord, TextInstance
from scenetext.training.checkpoint import save_checkpoint

RESNET = {"name": "clip_resnet", "layers": [1, 1, 1, 1], "width": 8}
TCM = {
    **{"name": "tcm", "layers": [1, 1, 1, 1], "width": 8, "input_size": 64, "embed_dim": 32, "text_weights": "none"},
    **{"text": {"width": 32, "heads": 2, "layers": 1}, "decoder": {"width": 16, "heads": 2, "layers": 1}},
}


def detector_run(folder: Path, **changes: Any) -> Run:
    image, records = folder / "word.png", folder / "records.jsonl"
    if not records.exists():
        write_image(image, np.full((64, 64, 3), 90, dtype=np.uint8))
        polygon = np.array([[8, 8], [56, 8], [56, 24], [8, 24]], dtype=np.float32)
        write_records(records, [ImageRecord(image, 64, 64, (TextInstance(polygon, "stop"),))])
    values = {
        "kind": "detection",
        "encoder": RESNET,
        "detector": {"name": "dbnet", "inner_channels": 16, "level_channels": 8},
        "data": {"train": [str(records)], "validation": [str(records)]},
        "training": {"steps": 1, "evaluate_every": 1, "device": "cpu"},
    }
    return check_run({**values, **changes}, "test")


def save_network(path: Path, run: Run) -> Path:
    """The network of a run as its seed makes it, saved as a training leaves it."""
    save_checkpoint(path, {"model": build_task(run).state_dict(), "step": 70, **describe_run(run)})
    return path


def other_run(folder: Path, **changes: Any) -> Run:
    training = {"steps": 1, "evaluate_every": 1, "device": "cpu", "seed": 1}
    return detector_run(folder, training=training, **changes)


@pytest.mark.parametrize("encoder", [RESNET, TCM], ids=["resnet", "tcm"])
def test_a_detector_starts_from_the_whole_network_of_another_run(tmp_path: Path, encoder: dict[str, Any]) -> None:
    first = save_network(tmp_path / "best.pt", detector_run(tmp_path, encoder=encoder))
    expected = build_task(detector_run(tmp_path, encoder=encoder)).state_dict()
    run = other_run(tmp_path, initial_weights=str(first), encoder=encoder)
    trainer, remarks = build_trainer(run, tmp_path / "run")
    loaded = trainer.module.state_dict()
    assert loaded.keys() == expected.keys()
    assert all((loaded[name].cpu() == expected[name]).all() for name in expected)
    assert any(f"initial weights: {first} (step 70)" in remark for remark in remarks)
    before = build_task(run).state_dict()
    assert any((before[name] != expected[name]).any() for name in expected), "its own seed gives others"


def test_initial_weights_are_not_read_on_resuming(tmp_path: Path) -> None:
    run = other_run(tmp_path, initial_weights=str(tmp_path / "gone.pt"))
    build_trainer(run, tmp_path / "run", resume=True)
    with pytest.raises(CheckpointError, match="gone.pt"):
        build_trainer(run, tmp_path / "run")


def test_initial_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    checkpoint = save_network(tmp_path / "best.pt", detector_run(tmp_path))
    detector = {"name": "dbnet", "inner_channels": 32, "level_channels": 8}
    with pytest.raises(CheckpointError, match="best.pt"):
        build_trainer(other_run(tmp_path, initial_weights=str(checkpoint), detector=detector), tmp_path / "run")
