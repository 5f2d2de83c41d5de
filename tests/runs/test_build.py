"""What a run starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenetext.config import dump_yaml
from scenetext.data.records.files import write_records
from scenetext.data.records.images import write_image
from scenetext.errors import CheckpointError, ConfigError
from scenetext.runs.build import build_task, build_trainer, describe_run, prepare_run_folder
from scenetext.runs.kinds import KINDS
from scenetext.runs.settings import RUN_TYPES, DetectionRun, PretrainingRun, Run, check_run, load_run
from scenetext.structures import ImageRecord, TextInstance
from scenetext.text.charset import CharacterSet
from scenetext.training.checkpoint import save_checkpoint
from small_runs import make_run, make_set

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
    save_checkpoint(path, {"model": build_task(run).state_dict(), "step": 70, **describe_run(run, None)})
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


def test_the_dictionary_is_read_once_a_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its characters reach the data, the model, the checkpoints and the run folder."""
    dictionary = tmp_path / "characters.txt"
    dictionary.write_text("\n".join("wordsx") + "\n", encoding="utf-8")
    run = make_run("pretraining", tmp_path, [str(make_set(tmp_path, "a", 4))])
    run = run.model_copy(update={"method": run.method.model_copy(update={"characters": dictionary})})
    read: list[Path] = []
    from_file = CharacterSet.from_file
    monkeypatch.setattr(CharacterSet, "from_file", lambda path: (read.append(path), from_file(path))[1])
    trainer, _ = build_trainer(run, tmp_path / "run")
    prepare_run_folder(tmp_path / "run", run, trainer.description["characters"], resume=False)
    assert read == [dictionary]
    assert trainer.task.characters.characters == tuple("wordsx")
    assert trainer.description["characters"] == "wordsx"
    assert from_file(tmp_path / "run" / "characters.txt").characters == tuple("wordsx")


def test_another_kind_of_run_is_refused_with_the_tool_that_starts_it(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(dump_yaml(detector_run(tmp_path)), encoding="utf-8")
    assert load_run([str(path)], DetectionRun) == load_run([str(path)])
    with pytest.raises(ConfigError, match=r"describes a detection run; start it with scenetext train"):
        load_run([str(path)], PretrainingRun)


def test_every_kind_of_run_has_its_record() -> None:
    assert KINDS.keys() == RUN_TYPES.keys()
