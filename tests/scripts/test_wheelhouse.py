"""scripts/wheelhouse.sh: a folder of wheels that installs without network beside a torch that is there already."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import wheelhouse
from wheelhouse import WheelhouseError, environment, missing_requirements, requirements, tags, versions, write_stand_ins

IMPORT_ALL = """
import importlib, json, pkgutil, sys
import scenetext
for module in pkgutil.walk_packages(scenetext.__path__, "scenetext."):
    importlib.import_module(module.name)
from scenetext.resources import resource_folder
files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items() if "." not in name}
print(json.dumps([{name: file for name, file in files.items() if file}, str(resource_folder("configs"))]))
"""
NOWHERE = "http://127.0.0.1:9"


def run_script(repository: Path, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = ["bash", repository / "scripts" / "wheelhouse.sh", *map(str, arguments)]
    surroundings = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings, cwd=cwd)


def make_wheel(folder: Path, name: str, needs: Sequence[str] = (), extras: Sequence[str] = ()) -> Path:
    """A wheel with nothing in it but what it needs."""
    folder.mkdir(exist_ok=True)
    lines = [
        f"Name: {name}",
        *(f"Provides-Extra: {one}" for one in extras),
        *(f"Requires-Dist: {one}" for one in needs),
    ]
    path = folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        described = "\n".join(["Metadata-Version: 2.1", *lines, "Version: 1.0"])
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", described)
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    return path


def torch_and_what_it_brings() -> set[str]:
    """Distributions that a machine with torch and torchvision has, but for those that scenetext names itself."""
    found: set[str] = set()
    left = ["torch", "torchvision"]
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        needs = [Requirement(line) for line in distribution(name).requires or []]
        left += [
            str(canonicalize_name(one.name))
            for one in needs
            if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
    own = {str(canonicalize_name(Requirement(line).name)) for line in distribution("scenetext").requires or []}
    return found - (own - {"torch", "torchvision"})


@pytest.mark.slow
def test_wheels_install_without_network_and_import(repository: Path, tmp_path: Path) -> None:
    within_reach = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-qq",
            "--no-deps",
            "--no-cache-dir",
            "tqdm",
            "--dest",
            tmp_path / "try",
        ],
        capture_output=True,
        check=False,
    )
    if within_reach.returncode:
        pytest.skip("no package registry within reach: pip cannot download tqdm")
    folder, site = tmp_path / "wheels", tmp_path / "site"
    done = run_script(repository, "wheels", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"wheels: \d+ wheels for Python \d\.\d+\.\d+ on manylinux_2_28_x86_64, \d+\.\d MB", done.stdout)
    collected = {line.partition("==")[0] for line in (folder / "requirements.txt").read_text().split()}
    assert len(collected) == len(list(folder.glob("*.whl"))), "one version of each"
    assert {"scenetext", "numpy", "opencv-python-headless", "pydantic-core"} <= collected
    assert not collected & {"torch", "torchvision", "triton", "sympy", "networkx", "jinja2", "fsspec", "pytest", "mypy"}

    (line,) = (line.strip() for line in done.stdout.splitlines() if "pip install" in line)
    assert "--no-index --no-deps" in line
    assert "--find-links wheels -r wheels/requirements.txt" in line
    command = [sys.executable, *shlex.split(line.replace("SITE", "site"))[1:]]
    offline = {
        **os.environ,
        "PIP_NO_INDEX": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "HTTPS_PROXY": NOWHERE,
        "HTTP_PROXY": NOWHERE,
    }
    offline = {name: value for name, value in offline.items() if name not in ("PIP_FIND_LINKS", "PYTHONPATH")}
    subprocess.run(command, check=True, env=offline, cwd=tmp_path)

    imported = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL],
        env={**offline, "PYTHONPATH": str(site)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert imported.returncode == 0, imported.stderr
    files, configs = json.loads(imported.stdout.splitlines()[-1])
    assert Path(configs).is_relative_to(site)
    owners = packages_distributions()
    elsewhere = {
        str(canonicalize_name(owner))
        for name, file in files.items()
        if not Path(file).is_relative_to(site)
        for owner in owners.get(name, [])
    }
    assert elsewhere <= torch_and_what_it_brings(), "imported from the running environment, not from the wheels"


def test_help_says_what_is_left_out_and_how(repository: Path) -> None:
    told = run_script(repository, "--help")
    assert told.returncode == 0
    for part in ("torch", "--without @there.txt", "--python", "--platform", "numpy included"):
        assert part in told.stdout


def test_folder_in_use_is_refused_and_left_alone(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = run_script(repository, tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path} is not empty; name another folder, or empty this one\n"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    done = run_script(repository, tmp_path / "new", "--python", "three")
    assert done.returncode == 2
    assert "--python three: expected a version such as 3.12" in done.stderr


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = make_wheel(tmp_path / "own", "scenetext", ["torch>=2.6", "torchvision>=0.21"], ["tcm", "plot"])
    monkeypatch.setattr(wheelhouse, "build_own_wheel", lambda work: own)
    monkeypatch.setattr(wheelhouse, "EXCLUDED", ("torch", "torchvision"))
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    with pytest.raises(WheelhouseError, match="the extra 'tmc' is unknown; known: plot, tcm"):
        wheelhouse.collect(tmp_path / "wheels", ["tmc"], [], "3.12", "manylinux_2_28_x86_64")
    make_wheel(tmp_path / "own", "scenetext", ["torch>=2.6", "torchvision>=0.21", "no-such-package-anywhere"])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WheelhouseError, match="pip download failed, see above"):
        wheelhouse.collect(tmp_path / "wheels", [], [], "3.12", "manylinux_2_28_x86_64")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_stand_ins_satisfy_pip_in_place_of_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No index: whatever pip would still want to fetch fails."""
    own = make_wheel(tmp_path / "own", "scenetext", ["torch>=2.6", "torchvision>=0.21", "numpy>=1.26"])
    monkeypatch.setattr(wheelhouse, "build_own_wheel", lambda work: own)
    monkeypatch.setattr(wheelhouse, "EXCLUDED", ("torch", "torchvision"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "none"))
    without = ["torch==2.11.0+cu130", "numpy==2.5.2"]
    wheels = wheelhouse.collect(tmp_path / "wheels", [], without, "3.12", "manylinux_2_28_x86_64")
    assert [wheel.name for wheel in wheels] == ["scenetext-1.0-py3-none-any.whl"]
    assert (tmp_path / "wheels" / "requirements.txt").read_text() == "scenetext==1.0\n"
    with pytest.raises(WheelhouseError, match="pip download failed"):  # too old, and no other to be had
        wheelhouse.collect(tmp_path / "more", [], ["numpy==1.20"], "3.12", "manylinux_2_28_x86_64")


def test_versions_are_as_given_or_the_oldest_that_the_project_takes(tmp_path: Path) -> None:
    needs = ["torch>=2.6", "torchvision>=0.21", 'ruff>=0.8; extra == "test"', 'mypy>=1.11; extra == "test"', "PyYAML"]
    own = make_wheel(tmp_path, "scenetext", needs, ["test"])
    assert versions(["Typing_Extensions==4.12", "torch==2.11.0+cu130\n"], own) == {
        "torch": "2.11.0+there",
        "torchvision": "0.21+there",
        "ruff": "0.8+there",
        "mypy": "1.11+there",
        "typing-extensions": "4.12+there",
    }
    with pytest.raises(
        WheelhouseError, match="--without pyyaml: give its version on the target machine, as pyyaml==1.0"
    ):
        versions(["pyyaml"], own)
    with pytest.raises(WheelhouseError, match="--without pyyaml==six: 'six' is no version"):
        versions(["pyyaml==six"], own)


def test_conditions_are_those_of_the_target_and_not_of_this_python(tmp_path: Path) -> None:
    make_wheel(
        tmp_path, "scenetext", ["numpy", 'pytest[toml]>=8; extra == "test"', "absent-here; sys_platform == 'win32'"]
    )
    make_wheel(tmp_path, "numpy")
    make_wheel(
        tmp_path,
        "pytest",
        ['tomli>=1; python_version < "3.11"', 'old; python_full_version < "3.12.1"', 'x; extra == "toml"'],
    )
    linux = "manylinux_2_28_x86_64"
    assert missing_requirements(tmp_path, [], environment("3.10", linux)) == []
    assert missing_requirements(tmp_path, ["test"], environment("3.10", linux)) == ["tomli>=1", "old", "x"]
    assert missing_requirements(tmp_path, ["test"], environment("3.12", linux)) == ["old", "x"]
    assert missing_requirements(tmp_path, ["test"], environment("3.12.3", linux)) == ["x"]
    assert missing_requirements(tmp_path, [], environment("3.12", "win_amd64")) == ["absent-here"]


def test_tags_hold_all_older_ones() -> None:
    given = tags("3.12", "manylinux_2_17_x86_64")
    assert given[:4] == ["--implementation", "cp", "--python-version", "3.12"]
    platforms = given[5::2]
    assert platforms[:3] == ["manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_16_x86_64"]
    assert platforms[-2:] == ["manylinux_2_5_x86_64", "manylinux1_x86_64"]
    assert tags("3.12", "macosx_11_0_arm64")[4:] == ["--platform", "macosx_11_0_arm64"]


def test_stand_ins_are_wheels_that_need_nothing(tmp_path: Path) -> None:
    write_stand_ins(tmp_path / "stand_ins", {"opencv-python-headless": "4.8+there"})
    (path,) = (tmp_path / "stand_ins").iterdir()
    assert path.name == "opencv_python_headless-4.8+there-py3-none-any.whl"
    assert requirements(path) == []
