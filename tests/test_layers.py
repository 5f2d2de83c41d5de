"""The rule of the house: a module imports its own folder and lower layers, never a sibling, never upward."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "scenetext"

LAYERS: dict[str, int] = {
    "errors": 0,
    "structures": 0,
    "contracts": 0,
    "distributed": 0,
    "config": 0,
    "geometry": 1,
    "text": 1,
    "layers": 1,
    "data": 2,
    "encoders": 2,
    "weights": 2,
    "evaluation": 2,
    "drawing": 2,
    "predictions": 2,
    "detectors": 3,
    "tcm": 3,
    "oclip": 3,
    "tasks": 4,
    "training": 4,
    "build": 5,
    "encoder_choice": 5,
    "conversion": 5,
    "published": 5,
    "detector_conversion": 5,
    "tcm_conversion": 5,
    "runs": 5,
    "run_data": 5,
    "run_checks": 5,
    "inference": 5,
    "attention": 5,
    "score_map": 5,
    "doctor": 5,
    "benchmark": 5,
    "command_line": 5,
    "training_command": 5,
    "evaluation_command": 5,
    "evaluation_sets": 5,
    "rehearsal": 5,
    "sample_sheet": 5,
    "reproduction": 5,
}
EXTENDS = {("detectors.dbnetpp", "detectors.dbnet")}
"""Methods that are another one with something added (DBNet++ is DBNet with another neck) may import it."""
WITHIN_VOCABULARY = {("contracts", "structures"), ("config", "errors"), ("distributed", "errors")}


def part_of(module: str) -> str:
    """The part (top-level name below the package) that a dotted module belongs to; methods are parts of their own."""
    names = module.split(".")[1:]
    if names[:1] == ["detectors"] and len(names) > 1:
        return ".".join(names[:2])
    return names[0] if names else ""


def imports_of(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"{path}: relative import; this house writes absolute ones")
            found.append(node.module or "")
    return [name for name in found if name == "scenetext" or name.startswith("scenetext.")]


def is_allowed(importer: str, imported: str) -> bool:
    if imported in ("", importer) or (importer.split(".")[0] == imported and "." in importer):
        return True
    if (importer, imported) in EXTENDS:
        return True
    if importer == "detectors" or imported == "errors":
        return imported == "errors" or imported.startswith("detectors") or LAYERS[imported.split(".")[0]] < 3
    lower, upper = LAYERS[imported.split(".")[0]], LAYERS[importer.split(".")[0]]
    if lower == upper == 0:
        return (importer, imported) in WITHIN_VOCABULARY
    return lower < upper or (lower == upper == 5)


MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py" or path.parent != SOURCE)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_module_imports_only_downward(path: Path) -> None:
    module = "scenetext." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    importer = part_of(module.removesuffix(".__init__"))
    assert importer.split(".")[0] in LAYERS, f"{path.name}: give the new part {importer!r} a layer in this test"
    for name in imports_of(path):
        imported = part_of(name)
        assert is_allowed(importer, imported), f"{path.relative_to(SOURCE)} imports {name}: not below {importer!r}"


def test_rule_refuses_sideways_and_upward() -> None:
    assert not is_allowed("data", "evaluation")
    assert not is_allowed("detectors.dbnet", "detectors.psenet")
    assert not is_allowed("oclip", "tasks")
    assert not is_allowed("structures", "contracts")
    assert not is_allowed("detectors.dbnet", "detectors.dbnetpp")
    assert is_allowed("detectors.dbnetpp", "detectors.dbnet")
    assert is_allowed("detectors.dbnet", "geometry")
    assert is_allowed("tasks", "detectors.dbnet")
