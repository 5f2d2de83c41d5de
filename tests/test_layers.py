"""The rule of the house: a module imports its own room and lower floors, never a sibling, never upward."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "scenetext"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "structures", "resources"),
    ("contracts", "config", "distributed"),
    ("geometry", "text", "layers", "drawing"),
    ("recognition",),
    ("data.records", "weights"),
    ("data.transforms", "data.loading", "data.readers", "encoders", "evaluation"),
    ("data.preparation",),
    ("detectors.*", "spotters.*", "pretraining.*", "tcm"),
    ("tasks", "training"),
    ("runs",),
    ("inference", "conversion", "export", "inspection", "scenes", "acquisition", "benchmark", "reproduction"),
    ("commands",),
    ("__main__",),
)
"""From the ground up. `detectors.*`: every folder in `detectors` is a room of its own, on one floor with the others."""
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FOLDERS_OF_ROOMS = {room.partition(".")[0] for room in FLOOR_OF if "." in room}
EXTENDS = {("detectors.dbnetpp", "detectors.dbnet"), ("detectors.textbpnpp", "detectors.textbpn")}
"""Methods that are another one with something changed (DBNet++ is DBNet with another neck) may import it."""


def room_of(module: str) -> str:
    """The room that a dotted module below the package belongs to ("" for the package, "data" for `data/__init__`)."""
    names = module.split(".")
    return ".".join(names[:2]) if names[0] in FOLDERS_OF_ROOMS else names[0]


def floor_of(room: str) -> int:
    """Its floor; a folder of rooms (`detectors/__init__.py`, which finds them) stands with the first of its rooms."""
    folder = room.partition(".")[0]
    if room in FLOOR_OF:
        return FLOOR_OF[room]
    if f"{folder}.*" in FLOOR_OF:
        return FLOOR_OF[f"{folder}.*"]
    return min(floor for name, floor in FLOOR_OF.items() if name.startswith(f"{folder}."))


def imports_of(path: Path) -> list[str]:
    """The modules of the package that a file imports, dotted, below the package."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"{path}: relative import; this house writes absolute ones")
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name.removeprefix("scenetext.") for name in found if name.startswith("scenetext.")]


def is_allowed(importer: str, imported: str) -> bool:
    if importer == imported or (importer, imported) in EXTENDS:
        return True
    if imported.partition(".")[0] == importer.partition(".")[0] and "." not in imported:
        return True  # a room may ask its folder, as `detectors.find_detector`
    return floor_of(imported) < floor_of(importer)


MODULES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_module_imports_only_downward(path: Path) -> None:
    module = ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")
    imports = {room_of(name) for name in imports_of(path)} - {"__version__"}
    importer = room_of(module)
    if importer == "":
        assert not imports, "the package itself imports nothing"
        return
    assert importer in FLOOR_OF or importer.partition(".")[0] in FOLDERS_OF_ROOMS, f"give {importer!r} a floor"
    for imported in imports:
        assert is_allowed(importer, imported), f"{path.relative_to(SOURCE)} imports {imported}: not below {importer}"


def test_rule_refuses_sideways_and_upward() -> None:
    assert not is_allowed("data.records", "evaluation")
    assert not is_allowed("data.readers", "evaluation")
    assert not is_allowed("data.readers", "data.loading")
    assert not is_allowed("detectors.dbnet", "detectors.psenet")
    assert not is_allowed("detectors.dbnet", "tcm")
    assert not is_allowed("pretraining.oclip", "tasks")
    assert not is_allowed("structures", "contracts")
    assert not is_allowed("detectors.dbnet", "detectors.dbnetpp")
    assert not is_allowed("inspection", "benchmark")
    assert not is_allowed("scenes", "commands")
    assert is_allowed("detectors.dbnetpp", "detectors.dbnet")
    assert is_allowed("detectors.dbnet", "geometry")
    assert is_allowed("tasks", "detectors.dbnet")
    assert is_allowed("tasks", "detectors")
    assert is_allowed("commands", "scenes")


def test_no_modules_import_each_other() -> None:
    """Not even inside one room, nor for their types alone."""
    names = {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES
    }
    graph = {
        name: {found if found in names else found.rpartition(".")[0] for found in imports_of(path)} - {name}
        for name, path in names.items()
    }
    TopologicalSorter(graph).prepare()


def test_every_room_of_the_plan_is_a_single_file_or_folder() -> None:
    """Whatever is loose at the top of the package is one of the few that the plan names."""
    loose = {path.stem for path in SOURCE.glob("*.py")} - {"__init__", "__main__"}
    assert loose == {"errors", "structures", "resources", "contracts", "distributed", "inference"}
