"""The network that a run starts from: whole, or without what the run names; and what becomes of it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from scenetext.commands.command_line import add_run_arguments
from scenetext.commands.training import run_training
from scenetext.config import dump_yaml
from scenetext.errors import CheckpointError, ConfigError
from scenetext.runs.build import build_task, build_trainer, describe_run
from scenetext.runs.settings import Run, check_run
from scenetext.tasks.detection import DetectionTask
from scenetext.training.checkpoint import load_checkpoint, save_checkpoint
from small_runs import make_run, make_set

WIDER = {"detector": {"name": "dbnet", "inner_channels": 32, "level_channels": 8}}


def make(folder: Path, **changes: Any) -> Run:
    records = folder / "train.jsonl"
    values = make_run("detection", folder, [str(records if records.exists() else make_set(folder, "train", 4))])
    training = {"steps": 2, "epochs": None, "evaluate_every": 1, "pictures": 0, "seed": 1}
    merged = values.model_dump(mode="json")
    merged["training"] |= training
    merged["loader"]["batch_size"] = 2
    return check_run({**merged, **changes}, "run.yaml")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The network of a run with another seed, as a training leaves it."""
    run = make(tmp_path)
    run = run.model_copy(update={"training": run.training.model_copy(update={"seed": 5})})
    save_checkpoint(tmp_path / "t.pt", {"model": build_task(run).state_dict(), "step": 70, **describe_run(run, None)})
    return tmp_path / "t.pt"


def test_a_part_that_does_not_fit_is_refused_unless_named(tmp_path: Path, trained: Path) -> None:
    run = make(tmp_path, initial_weights=str(trained), **WIDER)
    with pytest.raises(CheckpointError, match=r"of another shape: head\.[\s\S]*initial_weights_except=head\.\*"):
        build_trainer(run, tmp_path / "run")
    run = make(tmp_path, initial_weights=str(trained), initial_weights_except=["head.*"], **WIDER)
    trainer, remarks = build_trainer(run, tmp_path / "run")
    stored, fresh = load_checkpoint(trained)["model"], build_task(run).state_dict()
    for name, value in trainer.module.state_dict().items():
        expected = fresh[name] if name.startswith("head.") else stored[name]
        assert torch.equal(value.cpu(), expected), name
    heads = [sum(name.startswith("head.") for name in each) for each in (fresh, stored)]
    text = f"new, not taken from the file: head ({heads[0]}); in the file, not used: head ({heads[1]})"
    assert any(text in remark for remark in remarks), remarks


def test_what_is_missing_from_the_file_or_left_over_is_refused_unless_named(tmp_path: Path, trained: Path) -> None:
    content = load_checkpoint(trained)
    name = next(name for name in content["model"] if name.startswith("head."))
    content["model"]["old.weight"] = content["model"].pop(name)
    save_checkpoint(trained, content)
    with pytest.raises(CheckpointError, match=r"missing from the file: .*\n.*unknown to the model: old\.weight"):
        build_trainer(make(tmp_path, initial_weights=str(trained)), tmp_path / "run")
    run = make(tmp_path, initial_weights=str(trained), initial_weights_except=[name, "old.*"])
    _, remarks = build_trainer(run, tmp_path / "run")
    assert any("not taken from the file: head (1); in the file, not used: old (1)" in one for one in remarks), remarks


def test_the_named_encoder_starts_from_its_own_weights(tmp_path: Path, trained: Path) -> None:
    other = make(tmp_path)
    save_checkpoint(
        tmp_path / "e.pt", {"model": build_task(other).state_dict(), "step": 1, **describe_run(other, None)}
    )
    encoder = {**other.model_dump(mode="json")["encoder"], "weights": str(tmp_path / "e.pt")}
    changes = {"encoder": encoder, "initial_weights": str(trained), "initial_weights_except": ["encoder.*"]}
    trainer, _ = build_trainer(make(tmp_path, **changes), tmp_path / "run")
    encoders, whole = load_checkpoint(tmp_path / "e.pt")["model"], load_checkpoint(trained)["model"]
    for name, value in trainer.module.state_dict().items():
        assert torch.equal(value.cpu(), (encoders if name.startswith("encoder.") else whole)[name]), name


def test_patterns_that_say_nothing_are_refused(tmp_path: Path, trained: Path) -> None:
    run = make(tmp_path, initial_weights=str(trained), initial_weights_except=["haed.*"])
    with pytest.raises(ConfigError, match=r"'haed\.\*' matches no weights; did you mean 'head\.\*'\? .*encoder, head"):
        build_trainer(run, tmp_path / "run")
    with pytest.raises(ConfigError, match="matches all weights"):
        build_trainer(make(tmp_path, initial_weights=str(trained), initial_weights_except=["*"]), tmp_path / "run")
    with pytest.raises(ConfigError, match="initial_weights_except: there are no initial_weights"):
        make(tmp_path, initial_weights_except=["head.*"])


def test_evaluations_of_a_run_from_trained_weights_are_counted(tmp_path: Path, trained: Path) -> None:
    """`--minutes` and `--dry-run` plan with them."""
    assert build_trainer(make(tmp_path), tmp_path / "run")[0].evaluations == 2
    assert build_trainer(make(tmp_path, initial_weights=str(trained)), tmp_path / "run")[0].evaluations == 3


def test_parts_that_a_run_freezes_by_name_end_as_they_began(tmp_path: Path, trained: Path) -> None:
    """Statistics of their norms, too; a part of the encoder alone, and the rest learns."""
    frozen = ("encoder.conv", "encoder.bn", "encoder.layer1.", "encoder.layer2.")
    patterns = ["encoder.conv?.*", "encoder.bn?.*", "encoder.layer[12].*"]
    groups = [{"pattern": pattern, "learning_rate_factor": 0} for pattern in patterns]
    run = make(tmp_path, initial_weights=str(trained), optimizer={"groups": groups, "learning_rate": 1e-2})
    trainer, _ = build_trainer(run, tmp_path / "run")
    trainer.fit()
    before = load_checkpoint(trained)["model"]
    last = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    moved = {name for name, value in load_checkpoint(last)["model"].items() if not torch.equal(value, before[name])}
    assert not [name for name in moved if name.startswith(frozen)]
    assert {"encoder.layer3.0.conv1.weight", "encoder.layer3.0.bn1.running_mean"} <= moved
    assert any(name.startswith("head.") for name in moved)


class Scripted:
    """A metric that finds these values, one evaluation after the other."""

    best_metric = "hmean"

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def update(self, batch: object, predictions: object) -> None: ...

    def compute(self) -> dict[str, float]:
        return {"hmean": self.values.pop(0)}


def test_a_command_that_ends_worse_says_so_and_where_the_best_is(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    values = [0.6, 0.7, 0.4]
    monkeypatch.setattr(DetectionTask, "metric", lambda *_: Scripted(values))
    config = tmp_path / "run.yaml"
    config.write_text(dump_yaml(make(tmp_path, initial_weights=str(trained))), encoding="utf-8")
    parser = argparse.ArgumentParser()
    add_run_arguments(parser)
    folder = tmp_path / "run"
    assert run_training(parser.parse_args([str(config), "--output", str(folder)]), "detection") == 0
    printed = capsys.readouterr()
    assert "evaluation 0/2: hmean 0.6\n" in printed.err
    assert "hmean 0.1 above the start" in printed.err
    assert "hmean 0.2 below the start" in printed.err
    assert (
        f"warning: the run ended worse than it started: hmean 0.4 after step 2, 0.6 before the first step; use "
        f"{folder / 'best.pt'}, the best weights (of step 1: hmean 0.7)" in printed.out
    )
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    assert [line["hmean"] for line in lines if line["kind"] == "evaluation"] == [0.6, 0.7, 0.4]


def test_a_reader_alone_needs_a_detector_to_read_behind(tmp_path: Path, trained: Path) -> None:
    """Which stays as it is; of its own, the reader has everything that learns."""
    reader = {"reader": {"name": "ctc", "freeze_detector": True}, "transform": {"horizontal_flip": 0}}
    with pytest.raises(ConfigError, match="name the detector to read behind, initial_weights="):
        build_trainer(make(tmp_path, **reader), tmp_path / "run")
    trainer, remarks = build_trainer(make(tmp_path, initial_weights=str(trained), **reader), tmp_path / "run")
    learning = {name for name, each in trainer.module.named_parameters() if each.requires_grad}
    assert learning == {name for name, _ in trainer.module.named_parameters() if ".later.reading." in name}
    assert any("initial weights: new, not taken from the file: head" in remark for remark in remarks)
