"""Collects the wheels of scenetext and of everything it needs but torch, for a machine without network.

The target machine has torch and torchvision already; neither they nor what only they need are collected. Everything
else is, numpy included, so that the folder is complete for any machine. Packages that are there in a fitting version
need not be collected: --without NAME==VERSION excludes a package, together with what only that package needs, and the
rest is chosen to fit that version. To collect only what is missing, list on the target machine what is there, and
remove from the list what is too old for scenetext:

  python3 -m pip list --format=freeze > there.txt              # there
  scripts/wheelhouse.sh wheels test --without @there.txt       # here

ruff and mypy, which the extra `test` names, are always excluded: no test needs them.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from email.message import Message
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING or find_spec("packaging"):
    from packaging.markers import default_environment
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name, parse_wheel_filename
    from packaging.version import InvalidVersion, Version
else:  # pip brings it along, so that this script runs before anything is installed
    from pip._vendor.packaging.markers import default_environment
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.utils import canonicalize_name, parse_wheel_filename
    from pip._vendor.packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from scenetext.resources import FOLDERS  # noqa: E402 (importable only now; it needs only the standard library)

SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "NOTICE", "src", *FOLDERS.values())
"""What the project's own wheel is built from."""
EXCLUDED = ("torch", "torchvision", "ruff", "mypy")
STAND_IN = "there"
"""Local version label (PEP 440) of the empty wheels that stand in for excluded packages."""
REQUIREMENTS_NAME = "requirements.txt"
DEFAULT_PLATFORM = "manylinux_2_28_x86_64"
OLDEST_GLIBC_MINOR = 5
OLD_NAMES = {"x86_64": {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}, "aarch64": {17: "manylinux2014"}}
"""Of manylinux tags, by architecture and glibc's minor version (PEP 600)."""
SYSTEMS = {
    "manylinux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "musllinux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macosx": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "win": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}
LARGEST_SHOWN = 5


class WheelhouseError(Exception):
    """What cannot be collected, and what to do about it."""


def collect(folder: Path, extras: Sequence[str], without: Sequence[str], python: str, target: str) -> list[Path]:
    """Fills a folder with wheels and the list of them, `requirements.txt`; all of it or nothing.

    Args:
        folder: missing or empty.
        extras: of pyproject.toml.
        without: packages to exclude, NAME or NAME==VERSION.
        python: version of the target's Python, as 3.12.
        target: platform tag of the newest wheels that the target can use.

    Returns:
        The wheels, by name.

    Raises:
        WheelhouseError: the folder is in use, an extra or a version is unknown, or pip finds no wheel.
    """
    if folder.exists() and any(folder.iterdir()):
        raise WheelhouseError(f"{folder} is not empty; name another folder, or empty this one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent.resolve()) as temporary:
        work = Path(temporary)
        wheels, stand_ins = work / "wheels", work / "stand_ins"
        own = build_own_wheel(work)
        check_extras(own, extras)
        excluded = versions(without, own)
        write_stand_ins(stand_ins, excluded)
        constraints = work / "constraints.txt"
        constraints.write_text("".join(f"{name}=={version}\n" for name, version in excluded.items()), encoding="utf-8")
        options = ["--dest", wheels, "--find-links", stand_ins, "--constraint", constraints, *tags(python, target)]
        missing = [f"scenetext[{','.join(extras)}] @ {own.as_uri()}"]
        wanted: list[str] = []
        # pip evaluates the conditions of requirements for the Python it runs on; what they exclude there is added here.
        while not set(missing) <= set(wanted):
            wanted += missing
            run_pip("download", "--only-binary=:all:", *options, *wanted)
            missing = missing_requirements(wheels, extras, environment(python, target))
        for stand_in in stand_ins.glob("*.whl"):
            (wheels / stand_in.name).unlink(missing_ok=True)
        found = sorted(wheels.glob("*.whl"))
        lines = "".join("{}=={}\n".format(*parse_wheel_filename(wheel.name)[:2]) for wheel in found)
        (wheels / REQUIREMENTS_NAME).write_text(lines, encoding="utf-8")
        wheels.rename(folder)
    return [folder / wheel.name for wheel in found]


def build_own_wheel(work: Path) -> Path:
    """The project's wheel, from a copy: setuptools leaves folders behind, and includes those of earlier builds."""
    source = work / "source"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source / name)
    run_pip("wheel", "--no-deps", "--wheel-dir", work, source)
    (wheel,) = work.glob("*.whl")
    return wheel


def check_extras(own: Path, extras: Iterable[str]) -> None:
    """Refuses extras that the project has not; pip would only warn."""
    known = metadata(own).get_all("Provides-Extra", [])
    for extra in extras:
        if extra not in known:
            raise WheelhouseError(f"the extra {extra!r} is unknown; known: {', '.join(sorted(known))}")


def versions(without: Iterable[str], own: Path) -> dict[str, str]:
    """Version of the stand-in of each excluded package: as given, or the oldest that the project takes."""
    oldest = {
        canonicalize_name(one.name): specifier.version
        for one in requirements(own)
        for specifier in one.specifier
        if specifier.operator == ">="
    }
    found = {}
    for item in (*EXCLUDED, *without):
        name, _, given = item.strip().partition("==")
        version = given or oldest.get(canonicalize_name(name))
        if version is None:
            raise WheelhouseError(f"--without {item}: give its version on the target machine, as {name}==1.0")
        try:
            parsed = Version(version)
        except InvalidVersion:
            raise WheelhouseError(f"--without {item}: {version!r} is no version") from None
        found[str(canonicalize_name(name))] = f"{parsed.public}+{STAND_IN}"
    return found


def write_stand_ins(folder: Path, excluded: Mapping[str, str]) -> None:
    """Empty wheels that need nothing, so that pip resolves everything else around them and fetches nothing for them."""
    folder.mkdir()
    for name, version in excluded.items():
        stem = f"{name.replace('-', '_')}-{version}"
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{stem}.dist-info/RECORD", "")


def tags(python: str, target: str) -> list[str]:
    """pip's options for a target: pip accepts only wheels of the given tags, so older ones are named too."""
    names = [target]
    if modern := re.fullmatch(r"manylinux_2_(\d+)_(\w+)", target):
        newest, architecture = int(modern[1]), modern[2]
        names = []
        for minor in range(newest, OLDEST_GLIBC_MINOR - 1, -1):
            names.append(f"manylinux_2_{minor}_{architecture}")
            if old := OLD_NAMES.get(architecture, {}).get(minor):
                names.append(f"{old}_{architecture}")
    options = ["--implementation", "cp", "--python-version", python]
    return options + [part for name in names for part in ("--platform", name)]


def environment(python: str, target: str) -> dict[str, str]:
    """What conditions of requirements are evaluated against (PEP 508)."""
    system = next((values for name, values in SYSTEMS.items() if target.startswith(name)), {})
    machine = next((name for name in ("x86_64", "aarch64", "arm64") if target.endswith(name)), platform.machine())
    full = python if python.count(".") > 1 else f"{python}.0"
    return {
        **{name: str(value) for name, value in default_environment().items()},
        **system,
        "platform_machine": machine,
        "python_full_version": full,
        "python_version": ".".join(full.split(".")[:2]),
    }


def missing_requirements(wheels: Path, extras: Iterable[str], target: Mapping[str, str]) -> list[str]:
    """What the wheels in a folder need on the target and is not among them, followed from scenetext with its extras."""
    present = {str(parse_wheel_filename(path.name)[0]): path for path in sorted(wheels.glob("*.whl"))}
    missing: dict[str, None] = {}
    followed: set[tuple[str, str]] = set()
    left = [("scenetext", extra) for extra in ("", *extras)]
    while left:
        node = left.pop()
        if node in followed:
            continue
        followed.add(node)
        name, extra = node
        for one in requirements(present[name]):
            if one.marker is None or one.marker.evaluate({**target, "extra": extra}):
                needed = str(canonicalize_name(one.name))
                if needed in present:
                    left += [(needed, other) for other in ("", *one.extras)]
                else:
                    missing[f"{one.name}{one.specifier}"] = None
    return list(missing)


def requirements(wheel: Path) -> list[Requirement]:
    """What a wheel says that it needs."""
    return [Requirement(line) for line in metadata(wheel).get_all("Requires-Dist", [])]


def metadata(wheel: Path) -> Message:
    """The description of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one))
        return Parser().parsestr(archive.read(name).decode("utf-8"))


def run_pip(*arguments: object) -> None:
    """Runs pip, which prints its own errors."""
    command = [sys.executable, "-m", "pip", *map(str, arguments), "-qq", "--disable-pip-version-check"]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 (its own interpreter, no shell)
        raise WheelhouseError(f"pip {arguments[0]} failed, see above; is the package registry reachable?")


def report(folder: Path, wheels: Sequence[Path], python: str, target: str) -> str:
    """What was collected, and how to install it."""
    sizes = {parse_wheel_filename(wheel.name)[0]: wheel.stat().st_size / 1e6 for wheel in wheels}
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:LARGEST_SHOWN]
    return f"""\
{folder}: {len(wheels)} wheels for Python {python} on {target}, {sum(sizes.values()):.1f} MB
largest: {", ".join(f"{name} {sizes[name]:.1f} MB" for name in largest)}
Install them on the target machine into a folder of their own, and let Python find that first:
  python3 -m pip install --no-index --no-deps --target SITE --find-links {folder} -r {folder / REQUIREMENTS_NAME}
  export PYTHONPATH=SITE"""


def parse_arguments() -> argparse.Namespace:
    """The command line; `@FILE` stands for the lines of a file."""
    parser = argparse.ArgumentParser(
        prog="wheelhouse.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fromfile_prefix_chars="@",
    )
    version = platform.python_version()
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder to fill; missing or empty")
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help="extra of pyproject.toml, as tcm, plot or test")
    text = "what the target has already: NAME==VERSION, or NAME for the oldest version that scenetext takes"
    parser.add_argument("--without", nargs="+", default=[], action="extend", metavar="PACKAGE", help=text)
    parser.add_argument("--python", default=version, metavar="X.Y", help=f"the target's Python; default: {version}")
    text = f"platform tag of the newest wheels that the target can use; default: {DEFAULT_PLATFORM}, which is Linux \
with glibc 2.28 or later, and includes all older tags"
    parser.add_argument("--platform", default=DEFAULT_PLATFORM, metavar="TAG", help=text)
    arguments = parser.parse_args()
    if not re.fullmatch(r"3\.\d+(\.\d+)?", arguments.python):
        parser.error(f"--python {arguments.python}: expected a version such as 3.12")
    return arguments


def main() -> int:
    """Collects the wheels; 2 if that is not possible, with a message."""
    arguments = parse_arguments()
    folder, python, target = arguments.folder, arguments.python, arguments.platform
    try:
        wheels = collect(folder, arguments.extras, arguments.without, python, target)
    except WheelhouseError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(report(folder, wheels, python, target) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
