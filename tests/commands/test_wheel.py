"""The wheel, installed away from the repository: it brings the command and all files that belong to the product."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from checkout import REPOSITORY
from scenetext.resources import FOLDERS

SOURCES = ("src", *FOLDERS.values(), "pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE")
SETTINGS = (
    *("training.steps=2", "training.evaluate_every=2", "training.log_every=1", "training.device=cpu"),
    *("loader.batch_size=2", "loader.workers=0", "schedule.warmup_steps=1"),
)


def checked(*command: str | Path, folder: Path) -> str:
    """What a command prints that has to end well, run in a folder and without the checkout on its path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)], cwd=folder, capture_output=True, text=True, timeout=300, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_wheel(folder: Path) -> Path:
    """The wheel, built from a copy: a build leaves folders where its sources are."""
    copy = folder / "copy"
    for name in SOURCES:
        source, target = REPOSITORY / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, target)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    checked(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, copy, folder=folder)
    (wheel,) = folder.glob("scenetext-*.whl")
    return wheel


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel, and the dependencies of the one that runs the tests.

    Their folders are named in a .pth file, in which Python looks for no other .pth files: an editable install of the
    checkout is out of reach.
    """
    folder = tmp_path_factory.mktemp("wheel")
    environment = folder / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    checked(*pip, "install", "--no-deps", "--no-index", build_wheel(folder), folder=folder)
    (packages,) = environment.glob("lib/python*/site-packages")
    dependencies = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("".join(f"{path}\n" for path in dependencies))
    return environment / "bin"


@pytest.mark.slow
def test_wheel_trains_and_detects_by_what_it_brings(programs: Path, tmp_path: Path) -> None:
    scenetext = programs / "scenetext"
    look = "import scenetext.resources as r; print(r.__file__); print(*map(r.resource_folder, r.FOLDERS), sep='\\n')"
    package, *folders = map(Path, checked(programs / "python", "-c", look, folder=tmp_path).splitlines())
    assert package.is_relative_to(programs.parent), "the checkout is not what is tested"
    for folder, name in zip(folders, FOLDERS.values(), strict=True):
        assert files_of(folder) == files_of(REPOSITORY / name)

    assert "  train " in checked(scenetext, "--help", folder=tmp_path)
    made = ("generate", "few_words", "--count", "4", "--workers", "1", "--output", "scenes")
    assert "images       4 " in checked(scenetext, *made, folder=tmp_path)
    data = ("data.train=[scenes/records.jsonl]", "data.validation=[scenes/records.jsonl]")
    detector = ("train", "dbnet", "scenes", "tiny", *data, *SETTINGS, "--output", "run")
    checked(scenetext, *detector, folder=tmp_path)
    checked(scenetext, "detect", "run/best.pt", "scenes/images", "--device", "cpu", "--score", "0", folder=tmp_path)
    found = json.loads((tmp_path / "outputs" / "detections" / "detections.json").read_text())
    assert len(found["images"]) == 4


def files_of(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
