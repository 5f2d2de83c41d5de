"""A detector is its folder: one that is made somewhere else passes every contract and runs, and nothing is edited."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import scenetext.detectors
from checkout import REPOSITORY
from detector_folder import added_path
from scenetext.benchmark.detection import make_subject
from scenetext.conversion.detectors import convert_from_mmocr_detector, convert_to_mmocr_detector
from scenetext.data.records.images import read_image
from scenetext.detectors import detector_names, find_detector, find_examples
from scenetext.errors import ConfigError
from scenetext.inference import TextDetector
from scenetext.runs.build import build_trainer
from scenetext.runs.kinds import DETECTION
from scenetext.runs.load import load_trained_task
from scenetext.runs.settings import DetectionRun, load_run
from scenetext.weights.mmocr import to_mmocr_name
from small_runs import ENCODER, make_set

SOURCE = REPOSITORY / "tests" / "support" / "own_detectors" / "blob"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one detector in it that the package does not have."""
    shutil.copytree(SOURCE, tmp_path / "detectors" / "blob", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "detectors"


@pytest.fixture
def added(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, among the detectors of this process."""
    monkeypatch.setattr(scenetext.detectors, "__path__", added_path(folder))
    yield folder
    for name in [name for name in sys.modules if name.startswith("scenetext.detectors.blob")]:
        del sys.modules[name]
    vars(scenetext.detectors).pop("blob", None)


@pytest.mark.slow
def test_it_passes_the_contract_tests_of_all_detectors(folder: Path) -> None:
    """Those of detectors alone, those of bad input, and those with TCM; in a process that finds it from the start."""
    files = ("contract/test_detector_contract.py", "contract/test_detector_bad_input.py", "tcm/test_tcm_detectors.py")
    call = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-p", "detector_folder"]
    environment = {
        **os.environ,
        "DETECTOR_FOLDER": str(folder),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "tests" / "support"), *filter(None, sys.path)]),
    }
    call += ["-k", "blob", *(f"tests/{file}" for file in files)]
    done = subprocess.run(
        call, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 35, done.stdout[-500:]
    assert "skipped" not in done.stdout


def blob_run(folder: Path) -> DetectionRun:
    """A run file that names it, for two steps on images with one word."""
    records = str(make_set(folder, "word", 4))
    values = {
        "kind": "detection",
        "encoder": {"name": "clip_resnet", **ENCODER},
        "detector": {"name": "blob", "channels": 8},
        "data": {"train": [records], "validation": [records]},
        "transform": {"size": [64, 64]},
        "evaluation_transform": {"long_side": 64, "short_side": 64},
        "loader": {"batch_size": 2, "workers": 0},
        "training": {"steps": 2, "evaluate_every": 2, "device": "cpu"},
    }
    (folder / "blob.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    run = load_run([str(folder / "blob.yaml"), "detector.margin=4"], DetectionRun)
    assert isinstance(run, DetectionRun)
    return run


def test_it_is_configured_trained_evaluated_and_loaded_by_name(added: Path, tmp_path: Path) -> None:
    assert "blob" in detector_names()
    run = blob_run(tmp_path)
    assert run.detector == find_detector("blob").config(channels=8, margin=4)
    with pytest.raises(ConfigError, match=r"blob\.yaml: detector\.margni is unknown; did you mean margin"):
        load_run([str(tmp_path / "blob.yaml"), "detector.margni=4"], DetectionRun)
    trainer, _ = build_trainer(run, tmp_path / "run")
    before = {name: value.clone() for name, value in trainer.module.state_dict().items()}
    outcome = trainer.fit()
    assert outcome.step == 2
    assert {"hmean", "precision", "recall"} <= outcome.figures.keys()
    after = trainer.module.state_dict()
    assert any((before[name] != after[name]).any() for name in before if name.startswith("head."))
    task, read, content = load_trained_task(tmp_path / "run" / "best.pt", DETECTION)
    assert (read, content["step"]) == (run, 2)
    assert all(torch.equal(value, after[name]) for name, value in task.state_dict().items())
    image = read_image(tmp_path / "word_0.png")
    for found in TextDetector.load(tmp_path / "run" / "best.pt", "cpu")(image):
        assert found.polygon.shape[1] == 2
        assert np.isfinite(found.polygon).all()


def test_it_is_refused_by_conversion_and_measured_by_the_benchmark(added: Path, tmp_path: Path) -> None:
    run = blob_run(tmp_path)
    trainer, _ = build_trainer(run, tmp_path / "run")
    trainer.fit()
    refusal = r"blob cannot be converted: MMOCR has no such detector.*detectors/blob/mmocr\.py"
    with pytest.raises(ConfigError, match=refusal):
        convert_to_mmocr_detector(tmp_path / "run" / "best.pt", tmp_path / "mmocr.pth")
    assert not (tmp_path / "mmocr.pth").exists()
    resnet = {f"backbone.{name}": value for name, value in renamed_backbone(trainer.module).items()}
    torch.save({"state_dict": resnet}, tmp_path / "mmocr.pth")
    with pytest.raises(ConfigError, match=refusal):
        convert_from_mmocr_detector(tmp_path / "mmocr.pth", tmp_path / "converted.pt", run)
    subject = make_subject(run, images=2)
    (found,) = subject.task.spec.decode(subject.maps[0], subject.task.config)
    assert len(found) == 1, "the perfect map of an image with one word, softened"


def renamed_backbone(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    state = module.state_dict().items()
    return {to_mmocr_name(name.removeprefix("encoder.")): value for name, value in state if name.startswith("encoder.")}


def test_without_examples_it_says_what_is_missing(added: Path) -> None:
    (added / "blob" / "examples.py").unlink()
    with pytest.raises(ConfigError, match=r"detector 'blob' has no detectors/blob/examples\.py"):
        find_examples("blob")
    assert find_detector("blob").config().name == "blob", "and works all the same"
