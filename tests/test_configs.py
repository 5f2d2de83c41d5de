"""Every file under configs/ can be used as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scenetext.build import build_task
from scenetext.config import dump_yaml, load_settings
from scenetext.data.scenes.settings import SceneSettings
from scenetext.runs import check_run, load_run

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
RUNS = sorted(path for path in CONFIGS.rglob("*.yaml") if path.parent.name in ("oclip", "detectors"))


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_run_file_builds_its_task_and_prints_back(path: Path) -> None:
    kind = "pretraining" if path.parent.name == "oclip" else "detection"
    run = load_run(path, [], kind)  # type: ignore[arg-type]
    task = build_task(run)
    assert sum(parameter.numel() for parameter in task.parameters()) > 0
    assert check_run(yaml.safe_load(dump_yaml(run)), "printed") == run


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
