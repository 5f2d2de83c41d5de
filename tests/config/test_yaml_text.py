"""What YAML 1.1 makes of plain words and numbers, and what settings make of other types: nothing is guessed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scenetext.config import Settings, dump_yaml, load_settings, validate, yaml_text
from scenetext.errors import ConfigError


class Group(Settings):
    size: tuple[int, int] = (1, 1)
    rate: float | None = None


class Example(Settings):
    flag: bool = False
    steps: int = 1
    rate: float = 1.0
    name: str = ""
    file: Path | None = None
    files: tuple[Path, ...] = ()
    groups: tuple[Group, ...] = ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("016", "016"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2020-01-02", "2020-01-02"),
        ("-7", -7),
        ("0", 0),
        ("7e-4", 7e-4),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", -math.inf),
        ("1.5.2", "1.5.2"),
        ("~", None),
        ("'1'", "1"),
    ],
)
def test_plain_words_are_those_of_yaml_1_2(text: str, expected: object) -> None:
    found = yaml_text.parse(text)
    assert found == expected
    assert type(found) is type(expected)


PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))
"""Without line breaks of Unicode, which PyYAML writes as such."""


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | PRINTABLE,
        lambda inside: st.lists(inside, max_size=4) | st.dictionaries(PRINTABLE, inside, max_size=4),
        max_leaves=10,
    )
)
def test_what_is_written_is_read_back(values: Any) -> None:
    assert yaml_text.parse(yaml_text.dump(values)) == values


@pytest.mark.parametrize("text", ["yes", "1e3", "0o7", "1_0", "12:30", "=", "<<", "null", "01"])
def test_text_that_looks_like_something_else_stays_text(text: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(dump_yaml(Example(name=text)))
    assert load_settings(Example, path).name == text


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("steps: 1\nrate: 2\nsteps: 3\n", "steps is there twice, in lines 1 and 3"),
        ("groups:\n- {rate: 1}\n- rate: 1\n  rate: 2\n", "rate is there twice, in lines 3 and 4"),
        ("groups: [{rate: 1, rate: 2}]\n", "rate is there twice, in lines 1 and 1"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_with_file_and_lines(text: str, lines: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"run\.yaml: is not valid YAML: .*{lines}; keep one"):
        load_settings(Example, path)


def test_what_comes_with_an_alias_may_be_given_again() -> None:
    assert yaml_text.parse("base: &base {a: 1, b: 2}\nown: {<<: *base, b: 3}\n")["own"] == {"a": 1, "b": 3}
    assert yaml_text.parse("{a: {b: 1}, c: {b: 1}}") == yaml.safe_load("{a: {b: 1}, c: {b: 1}}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flag: yes", "flag: Input should be true or false"),
        ("flag: 1", "flag: Input should be true or false"),
        ("flag: on", "flag: Input should be true or false"),
        ("steps: yes", "steps: Input should be a valid integer"),
        ("steps: true", "steps: Input should be a number"),
        ("steps: 016", "steps: Input should be a number, without zeros in front"),
        ("steps: '16'", "steps: Input should be a number, without quotes"),
        ("steps: 1.5", "steps: Input should be a valid integer"),
        ("rate: false", "rate: Input should be a number"),
        ("rate: .nan", "rate: Input should be a finite number"),
        ("rate: 1e999", "rate: Input should be a finite number"),
        ("groups: {size: [1, true]}", r"groups\.0\.size: Input should be a number"),
        ("groups: {size: [1, '2']}", r"groups\.0\.size: Input should be a number, without quotes"),
        ("groups: {rate: '2'}", r"groups\.0\.rate: Input should be a number, without quotes"),
    ],
)
def test_no_type_is_guessed(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"run.yaml: {message}.* \\(given: "):
        validate(Example, yaml_text.parse(text), "run.yaml")


def test_a_whole_number_in_another_form_is_one() -> None:
    assert validate(Example, yaml_text.parse("{steps: 1e3, rate: 2}"), "run.yaml") == Example(steps=1000, rate=2.0)


def test_one_value_is_a_list_of_one_and_paths_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    found = validate(Example, yaml_text.parse("{files: ~/a.jsonl, file: ~/b.jsonl, groups: {rate: 2}}"), "run.yaml")
    assert found.files == (Path("/home/me/a.jsonl"),)
    assert found.file == Path("/home/me/b.jsonl")
    assert found.groups == (Group(rate=2),)
