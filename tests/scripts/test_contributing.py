"""CONTRIBUTING.md as it is written: its files, changes and commands work in a copy of the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from checkout import REPOSITORY
from scenetext.resources import FOLDERS

COPIED = ("src/scenetext", *FOLDERS.values(), "tests/contract", "tests/support", "tests/conftest.py", "pyproject.toml")
PREPARING = ("cp ", "scenetext prepare ")
"""Commands that what follows in other sections needs."""
pytestmark = pytest.mark.slow


def blocks() -> Iterator[tuple[str, str, str, str]]:
    """(section, language, title, content) of every code block."""
    section = ""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    pattern = r'^## ([^\n]*)$|^```(\w+)(?: title="([^"\n]*)")?\n(.*?)^```$'
    for heading, language, title, content in re.findall(pattern, text, flags=re.DOTALL | re.MULTILINE):
        section = heading or section
        if language and section:
            yield section, language, title, content


def commands(section: str) -> list[str]:
    found = [content for named, language, _, content in blocks() if named == section and language == "bash"]
    return [line for content in found for line in content.splitlines()]


SECTIONS = list(dict.fromkeys(section for section, *_ in blocks()))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with everything that the page adds, and the example's data."""
    folder = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        source, target = REPOSITORY / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not source.exists():
            continue  # a kind of resources that this checkout has none of
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for _, language, title, content in blocks():
        if title:
            (folder / title).parent.mkdir(exist_ok=True)
            (folder / title).write_text(content, encoding="utf-8")
        elif language == "diff":
            subprocess.run(["git", "apply", "--verbose"], input=content, cwd=folder, text=True, check=True)
    make_signs(folder / "downloads" / "signs")
    for section in SECTIONS:
        for command in commands(section):
            if command.startswith(PREPARING):
                checked(command, folder)
    return folder


def make_signs(folder: Path) -> None:
    (folder / "images").mkdir(parents=True)
    lines = []
    for index in range(8):
        image = np.random.default_rng(index).integers(0, 255, (96, 128, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"{index}.png"), image)
        lines.append(f"{index}.png\t10\t10\t100\t10\t100\t40\t10\t40\tEXIT")
    (folder / "labels.tsv").write_text("\n".join(lines), encoding="utf-8")


def checked(command: str, folder: Path) -> str:
    """What a command prints that has to end well, run in the copy and with its modules."""
    command = re.sub(r"^scenetext\b", "python -m scenetext", command).replace("python ", f"{sys.executable} ", 1)
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("section", SECTIONS)
def test_commands_of_the_section_work(section: str, copy: Path) -> None:
    ran = [checked(command, copy) for command in commands(section) if not command.startswith(PREPARING)]
    assert ran


def test_records_of_the_data_set_are_those_of_its_files(copy: Path) -> None:
    lines = (copy / "data" / "signs" / "all.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 8
    assert all("EXIT" in line for line in lines)


def test_every_kind_of_addition_is_tried() -> None:
    assert SECTIONS == ["Add a detector", "Add an encoder", "Add a data set", "Add a pre-training"]
