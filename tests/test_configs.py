"""Every file under configs/ can be used as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from conftest import golden_folder
from scenetext.build import build_task
from scenetext.config import dump_yaml, load_settings
from scenetext.data.scenes.settings import SceneSettings
from scenetext.runs import PretrainingRun, Run, check_run, load_run
from scenetext.tasks.pretraining import PretrainingTask
from scenetext.text.charset import CharacterSet
from scenetext.training.schedules import learning_rate_factor

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
RUNS = sorted(path for path in CONFIGS.rglob("*.yaml") if path.parent.name in ("oclip", "detectors"))


def load(path: Path) -> Run:
    return load_run(path, [], "pretraining" if path.parent.name == "oclip" else "detection")


def with_dictionary(run: Run, path: Path) -> Run:
    """The run with a dictionary that is there, as large as the published Chinese one, where its own comes with data."""
    if not isinstance(run, PretrainingRun) or run.method.characters is None or run.method.characters.exists():
        return run
    CharacterSet(map(chr, range(0x4E00, 0x4E00 + 5251))).write(path)
    return run.model_copy(update={"method": run.method.model_copy(update={"characters": path})})


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_run_file_builds_its_task_and_prints_back(path: Path, tmp_path: Path) -> None:
    run = load(path)
    with torch.device("meta"):  # full-size models take seconds to fill with numbers, and gigabytes
        task = build_task(with_dictionary(run, tmp_path / "characters.txt"))
    assert sum(parameter.numel() for parameter in task.parameters()) > 0
    assert check_run(yaml.safe_load(dump_yaml(run)), "printed") == run


@pytest.mark.parametrize(("file", "golden"), [("rn50", "RN50"), ("rn101", "RN101"), ("rn50_lsvt", "RN50_lsvt")])
def test_full_size_models_have_the_published_names_and_shapes(file: str, golden: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        task = build_task(with_dictionary(load(CONFIGS / "oclip" / f"{file}.yaml"), tmp_path / "characters.txt"))
    shapes = json.loads((golden_folder("oclip") / f"keys_{golden}.json").read_text())["shapes"]
    assert isinstance(task, PretrainingTask)
    assert {name: list(value.shape) for name, value in task.network.state_dict().items()} == {
        name: one["shape"] for name, one in shapes.items()
    }


def test_full_size_training_has_the_published_schedule() -> None:
    run = load(CONFIGS / "oclip" / "rn50.yaml")
    golden = json.loads((golden_folder("oclip") / "tiny_optimizer.json").read_text())
    published = golden["schedule"]["base0.0005_warm10000_total335400"]
    assert run.training.steps == 335400
    for step, rate in published["lr"].items():
        factor = learning_rate_factor(int(step), run.training.steps, run.schedule)
        assert factor == pytest.approx(rate / published["base_lr"], rel=1e-9, abs=1e-20)
    settings = run.optimizer
    assert (settings.learning_rate, settings.weight_decay) == (1e-4, 0.1), "of the README's command"
    assert (list(settings.betas), settings.epsilon) == (golden["adamw"]["betas"], golden["adamw"]["eps"])


@pytest.mark.parametrize("path", sorted((CONFIGS / "scenes").glob("*.yaml")), ids=lambda path: path.stem)
def test_scene_file_loads(path: Path) -> None:
    assert load_settings(SceneSettings, path)


def test_one_seed_fixes_the_initial_weights() -> None:
    run = load_run(CONFIGS / "detectors" / "dbnet_tiny.yaml", [], "detection")
    other = load_run(CONFIGS / "detectors" / "dbnet_tiny.yaml", ["training.seed=1"], "detection")
    first, second, third = (build_task(each).state_dict() for each in (run, run, other))
    assert all((first[name] == second[name]).all() for name in first)
    assert any((first[name] != third[name]).any() for name in first)


def test_pretrained_encoder_of_the_tiny_configs_fits_the_tiny_detector() -> None:
    pretraining = load_run(CONFIGS / "oclip" / "tiny.yaml", [], "pretraining")
    detector = load_run(CONFIGS / "detectors" / "dbnet_tiny.yaml", [], "detection")
    encoder = pretraining.method.encoder  # type: ignore[union-attr]
    assert (encoder.layers, encoder.width) == (detector.encoder.layers, detector.encoder.width)  # type: ignore[union-attr]
