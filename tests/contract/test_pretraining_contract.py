"""What every pre-training method holds, whichever folder it is in; and one that is in a folder of its own."""

from __future__ import annotations

import pickle
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import scenetext.pretraining
from checkout import REPOSITORY
from scenetext.conversion.encoders import convert_backbone
from scenetext.data.loading.dataset import collate
from scenetext.data.records.samples import whole_sample
from scenetext.errors import CheckpointError, ConfigError
from scenetext.pretraining import find_method, method_names
from scenetext.runs.build import build_task, build_trainer
from scenetext.runs.kinds import PRETRAINING
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import PretrainingRun, Run, check_run
from scenetext.structures import TextInstance
from small_runs import WORD, make_run, make_set


def method_run(name: str, folder: Path, side: int = 64, **changes: Any) -> PretrainingRun[Any, Any, Any]:
    """Two steps of a small model on images with one word."""
    records = folder / "train.jsonl"
    validation = [folder / f"{text}.jsonl" for text in ("one", "two")]
    if not records.exists():
        make_set(folder, "train", 4)
        for text in ("one", "two"):
            make_set(folder, text, 1, text)
    spec = find_method(name)
    sized = {"input_size": side} if "input_size" in spec.settings.model_fields else {}
    size = side if isinstance(spec.transform().size, int) else [side, side]
    values = {
        "kind": "pretraining",
        "method": {"name": name, **spec.small, **sized},
        "data": {"train": [str(records)], "validation": [str(path) for path in validation]},
        "transform": {"size": size},
        "loader": {"batch_size": 2, "workers": 0},
        "training": {"steps": 2, "evaluate_every": 2, "device": "cpu", "pictures": 2},
        **changes,
    }
    run = check_run(values, "run.yaml")
    assert isinstance(run, PretrainingRun)
    return run


METHODS = [name for name in method_names() if not find_method(name).trains_detector]
"""Those of an image encoder; a method of a whole detector is held to what its own tests say."""


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_is_prepared_learnt_from_measured_and_drawn(tmp_path: Path, name: str) -> None:
    run = method_run(name, tmp_path)
    task = build_task(run)
    word = TextInstance(WORD, "word")
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    samples = [whole_sample(image, Path(f"{number}.png"), (word,) * number) for number in (0, 1, 2)]
    prepared = [task.prepare_training(each, np.random.default_rng(7)) for each in samples]
    again = [task.prepare_training(each, np.random.default_rng(7)) for each in samples]
    for one, other in zip(prepared, again, strict=True):
        assert all(np.array_equal(value, other.targets[key]) for key, value in one.targets.items())
    losses = task(collate(prepared))
    assert losses.keys() <= set(task.loss_weights)
    assert all(torch.isfinite(value) and value.dtype == torch.float32 and not value.shape for value in losses.values())
    sum(losses.values(), torch.zeros(())).backward()
    assert any(parameter.grad is not None for parameter in task.encoder.parameters())
    assert all(any(part is inner for inner in task.modules()) for part in task.compiled_parts())
    task.eval()
    batch = collate([task.prepare_evaluation(each, np.random.default_rng(1)) for each in samples])
    with torch.no_grad():
        predicted, pictures = task.predict(batch), task.pictures(batch)
    metric, other = task.metric(()), task.metric(())
    metric.update(batch, predicted)
    values = metric.compute()
    other.include(pickle.loads(pickle.dumps(metric)))
    assert other.compute() == pytest.approx(values, nan_ok=True)
    assert task.best_metric in values
    assert len(pictures) == 3
    assert find_method(name).report(values)
    names = [parameter for parameter, _ in task.named_parameters()]
    assert all(each.startswith("network.") for each in names)
    inner = {each.removeprefix("network.visual.") for each in names if each.startswith("network.visual.")}
    assert inner == {each for each, _ in task.encoder.named_parameters()}, "where detectors look for it"
    assert set(find_method(name).image_positions) <= set(names)


def test_unknown_methods_and_keys_are_named(tmp_path: Path) -> None:
    values = method_run("oclip", tmp_path).model_dump(mode="json")
    with pytest.raises(ConfigError, match=r"run\.yaml: pre-training method 'odn' is unknown; did you mean odm\?"):
        check_run({**values, "method": {"name": "odn"}}, "run.yaml")
    with pytest.raises(ConfigError, match=r"run\.yaml: method\.pyramid_chanels is unknown; did you mean pyramid"):
        check_run({**values, "method": {"name": "odm", "pyramid_chanels": 8}}, "run.yaml")


@pytest.mark.parametrize("name", METHODS)
def test_a_run_starts_from_a_whole_model_of_another_input_size(tmp_path: Path, name: str) -> None:
    trainer, _ = build_trainer(method_run(name, tmp_path), tmp_path / "first")
    trainer.fit()
    trained = {"initial_weights": str(tmp_path / "first" / "best.pt")}
    larger = method_run(name, tmp_path, 96, **trained)
    started, remarks = build_trainer(larger, tmp_path / "second")
    positions = find_method(name).image_positions
    resized = [remark for remark in remarks if "for another input size" in remark]
    assert [remark.split()[2] for remark in resized] == list(positions)
    assert all("4 to 9 positions" in remark or "5 to 10 positions" in remark for remark in resized)
    before, after = trainer.module.state_dict(), started.module.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items() if key not in positions)
    with pytest.raises(CheckpointError, match="does not fit the model"):
        build_trainer(method_run(name, tmp_path, **trained, **wider(name)), tmp_path / "wider")
    detector = make_run("detection", tmp_path, [str(tmp_path / "train.jsonl")]).model_dump(mode="json")
    detector = check_run({**detector, **trained}, "run.yaml")
    with pytest.raises(CheckpointError, match=f"{name} pre-trains an image encoder.*encoder.weights="):
        build_trainer(detector, tmp_path / "third")


def wider(name: str) -> dict[str, Any]:
    return {"method": {"name": name, **find_method(name).small, "embed_dim": 64}}


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A method in a folder of its own, among those of the package: nothing else is edited."""
    source = REPOSITORY / "tests" / "support" / "own_methods" / "mean_colour"
    shutil.copytree(source, tmp_path / "methods" / "mean_colour", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(scenetext.pretraining, "__path__", [*scenetext.pretraining.__path__, str(tmp_path / "methods")])
    yield
    for name in [name for name in sys.modules if name.startswith("scenetext.pretraining.mean_colour")]:
        del sys.modules[name]
    vars(scenetext.pretraining).pop("mean_colour", None)


@pytest.mark.usefixtures("added")
def test_a_method_is_its_folder(tmp_path: Path) -> None:
    """It has no words, and images of a further key; it is trained, measured, loaded, and hands on its encoder."""
    backgrounds = make_set(tmp_path, "backgrounds", 3)
    (tmp_path / "data").mkdir()
    run: Run = method_run("mean_colour", tmp_path / "data")
    values = run.model_dump(mode="json")
    values["data"]["backgrounds"] = [str(backgrounds)]
    run = check_run(values, "run.yaml")
    trainer, remarks = build_trainer(run, tmp_path / "run")
    assert "mean_colour: 4 images, and 3 backgrounds" in remarks
    assert str(backgrounds) in trainer.description["records"]
    outcome = trainer.fit()
    assert outcome.figures.keys() == {"closeness"}
    task, read, content = load_trained_task(tmp_path / "run" / "best.pt", PRETRAINING)
    assert (read, content["step"], "characters" in content) == (run, 2, False)
    assert "mapped: " in str(convert_backbone(tmp_path / "run" / "best.pt", tmp_path / "backbone.safetensors"))
    detector = make_run("detection", tmp_path, [str(backgrounds)]).model_dump(mode="json")
    detector["encoder"]["weights"] = str(tmp_path / "run" / "best.pt")
    started, _ = build_trainer(check_run(detector, "run.yaml"), tmp_path / "detector")
    own = task.network.visual.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in started.task.encoder.state_dict().items())
