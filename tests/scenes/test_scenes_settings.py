from __future__ import annotations

from pathlib import Path

import pytest

from scenetext.config import load_settings, validate
from scenetext.errors import ConfigError
from scenetext.scenes import SceneSettings

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "scenes"


@pytest.mark.parametrize("name", ["single_word", "few_words", "street"])
def test_shipped_configs_are_valid(name: str) -> None:
    load_settings(SceneSettings, CONFIGS / f"{name}.yaml")


def test_street_is_the_default_and_the_others_build_on_it() -> None:
    assert load_settings(SceneSettings, CONFIGS / "street.yaml") == SceneSettings()
    single = load_settings(SceneSettings, CONFIGS / "single_word.yaml")
    assert single.words == (1, 1)
    assert single.layout.lines == single.layout.words_per_line == (1, 1)
    assert single.layout.curve_points == SceneSettings().layout.curve_points


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": [640, 320]}, "width.*640 above 320"),
        ({"words": [0, 3]}, "words"),
        ({"camera": {"noise": [-1, 2]}}, "camera.noise"),
        ({"camera": {"jpeg_quality": [50, 101]}}, "camera.jpeg_quality"),
        ({"text": {"listed": 0, "numbers": 0, "random": 0}}, "listed, numbers and random"),
        ({"text": {"upper": 0, "title": 0, "lower": 0, "unchanged": 0}}, "upper, title, lower"),
        ({"text": {"random_characters": "a b"}}, "none of them blank"),
        ({"width": [32, 64], "margin": 9}, "margin 9.0 leaves less than half"),
        ({"layout": {"text_hight": [1, 2]}}, "did you mean text_height"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(SceneSettings, values, "scene.yaml")
