from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scenetext.config import Settings, dump_yaml, load_settings, read_config
from scenetext.errors import ConfigError


class Inner(Settings):
    name: str = "adamw"
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)


class Outer(Settings):
    steps: int
    inner: Inner = Inner()
    note: str | None = None


def write(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_file_base_and_overrides_merge_in_that_order(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", {"steps": 1, "note": "base", "inner": {"learning_rate": 0.5, "betas": [0.1, 0.2]}})
    path = write(tmp_path, "run.yaml", {"base": "base.yaml", "steps": 2, "inner": {"learning_rate": 0.6}})
    settings = load_settings(Outer, path, ["inner.learning_rate=7e-4"])
    assert settings.steps == 2
    assert settings.note == "base"
    assert settings.inner.learning_rate == 7e-4, "7e-4 is a number although YAML reads it as text"
    assert settings.inner.betas == (0.1, 0.2), "untouched keys of a group stay"


def test_later_base_wins(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", {"steps": 1, "note": "a"})
    write(tmp_path, "b.yaml", {"note": "b"})
    path = write(tmp_path, "run.yaml", {"base": ["a.yaml", "b.yaml"]})
    assert load_settings(Outer, path) == Outer(steps=1, note="b")


def test_group_with_another_name_is_replaced_whole(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", {"steps": 1, "inner": {"name": "adamw", "learning_rate": 0.5}})
    path = write(tmp_path, "run.yaml", {"base": "base.yaml", "inner": {"name": "sgd"}})
    assert read_config(path)["inner"] == {"name": "sgd"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"steps": 1, "inner": {"learning_rat": 1}}, "inner.learning_rat is unknown; did you mean learning_rate?"),
        ({"stepz": 1, "steps": 1}, "stepz is unknown; did you mean steps?"),
        ({"steps": "many"}, "steps: "),
        ({}, "steps: Field required"),
    ],
)
def test_errors_name_file_and_key(tmp_path: Path, content: dict, expected: str) -> None:
    path = write(tmp_path, "run.yaml", content)
    with pytest.raises(ConfigError, match="run.yaml") as caught:
        load_settings(Outer, path)
    assert expected in str(caught.value)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "run.yaml", {"steps": "x", "wrong": 1})
    with pytest.raises(ConfigError) as caught:
        load_settings(Outer, path)
    assert "steps" in str(caught.value)
    assert "wrong is unknown" in str(caught.value)


def test_missing_file_names_neighbours(tmp_path: Path) -> None:
    write(tmp_path, "dbnet_tiny.yaml", {})
    with pytest.raises(ConfigError, match=r"dbnet_tin\.yaml.*in the same folder: dbnet_tiny\.yaml"):
        load_settings(Outer, tmp_path / "dbnet_tin.yaml")


@pytest.mark.parametrize("base", [3, {"a": 1}, [["a.yaml"]], "a\0.yaml"])
def test_bases_that_are_no_names_are_told(tmp_path: Path, base: object) -> None:
    path = write(tmp_path, "run.yaml", {"base": base})
    with pytest.raises(ConfigError, match=r"run\.yaml: base must name a file"):
        load_settings(Outer, path)


def test_a_missing_base_is_told_with_the_file_that_names_it(tmp_path: Path) -> None:
    path = write(tmp_path, "run.yaml", {"base": "none.yaml"})
    with pytest.raises(ConfigError, match=r"run\.yaml: base: .*none\.yaml: cannot be read"):
        load_settings(Outer, path)


def test_base_cycle_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", {"base": "b.yaml"})
    path = write(tmp_path, "b.yaml", {"base": "a.yaml"})
    with pytest.raises(ConfigError, match="leads back"):
        load_settings(Outer, path)


@pytest.mark.parametrize("override", ["steps", "=3", "steps=[1"])
def test_malformed_override_is_told(tmp_path: Path, override: str) -> None:
    path = write(tmp_path, "run.yaml", {"steps": 1})
    with pytest.raises(ConfigError, match="override"):
        load_settings(Outer, path, [override])


@pytest.mark.parametrize(
    "text",
    ["a: [", "- 1\n- 2\n", "\x00", f"steps: {'9' * 5000}", f"inner: 0x{'9' * 5000}", "steps: 2020-13-45", "[" * 9999],
    ids=["open list", "a list", "null byte", "many digits", "many hexadecimal digits", "no date", "nesting"],
)
def test_broken_yaml_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="run.yaml"):
        load_settings(Outer, path)


def test_yaml_cannot_execute(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("steps: !!python/object/apply:os.getpid []\n")
    with pytest.raises(ConfigError):
        load_settings(Outer, path)


def test_dump_reads_back_equal(tmp_path: Path) -> None:
    settings = Outer(steps=3, inner=Inner(learning_rate=1e-5), note="ü")
    path = tmp_path / "run.yaml"
    path.write_text(dump_yaml(settings), encoding="utf-8")
    assert load_settings(Outer, path) == settings
