from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from shapely.geometry import Polygon

from scenetext.config import load_settings, validate
from scenetext.data.readers.files import find_images
from scenetext.errors import DataError, ImageError
from scenetext.scenes import SceneGenerator, SceneSettings, backgrounds
from scenetext.scenes.fonts import FontLibrary, load_fonts
from scenetext.scenes.generator import word_height
from scenetext.scenes.words import read_words
from scenetext.structures import TextInstance

REPOSITORY = Path(__file__).resolve().parents[2]
WORDS = ("Open", "market", "bakery", "Gate")
Scene = tuple[np.ndarray, tuple[TextInstance, ...]]
CLEAN = {
    "lettering": {"shadow_probability": 0, "wear": 0, "contrast_minimum": 34},
    "surface": {"board_probability": 0},
    "camera": {"blur_sigma": [0, 0], "noise": [0, 0], "jpeg_quality": [100, 100]},
}
"""Nothing but letters straight on the background."""


def make(values: dict[str, object], words: tuple[str, ...] = WORDS, seed: int = 0) -> SceneGenerator:
    return SceneGenerator(validate(SceneSettings, values, "test"), seed, FontLibrary([None]), words)


@pytest.fixture(scope="module", params=["single_word", "few_words", "street"])
def shipped(request: pytest.FixtureRequest) -> tuple[SceneSettings, list[Scene]]:
    settings = load_settings(SceneSettings, REPOSITORY / "configs" / "scenes" / f"{request.param}.yaml")
    words = read_words(REPOSITORY / "data" / "words" / "english.txt")
    scenes = SceneGenerator(settings, 7, load_fonts().fonts, words)
    return settings, [scenes.scene(index) for index in range(8 if request.param == "street" else 24)]


def test_images_have_the_size_and_the_words_that_are_asked_for(shipped: tuple[SceneSettings, list[Scene]]) -> None:
    settings, scenes = shipped
    for image, instances in scenes:
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
        assert settings.height[0] <= image.shape[0] <= settings.height[1]
        assert settings.width[0] <= image.shape[1] <= settings.width[1]
        assert 1 <= len(instances) <= settings.words[1]
    enough = [settings.words[0] <= len(instances) for _, instances in scenes]
    assert np.mean(enough) >= 0.8


def test_polygons_are_sound_and_inside(shipped: tuple[SceneSettings, list[Scene]]) -> None:
    settings, scenes = shipped
    for image, instances in scenes:
        for instance in instances:
            polygon = instance.polygon
            assert polygon is not None
            assert polygon.dtype == np.float32
            assert len(polygon) in (4, 2 * settings.layout.curve_points)
            assert polygon.min() >= settings.margin - 1e-3
            right, bottom = polygon.max(axis=0)
            assert right <= image.shape[1] - settings.margin + 1e-3
            assert bottom <= image.shape[0] - settings.margin + 1e-3
            x, y = polygon.T.astype(np.float64)
            area = 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
            assert area > 12, "clockwise in the image, where y points down, and not tiny"
            assert Polygon(polygon).is_valid


def test_words_do_not_cover_each_other(shipped: tuple[SceneSettings, list[Scene]]) -> None:
    for _, instances in shipped[1]:
        shapes = [Polygon(instance.polygon) for instance in instances]
        for number, first in enumerate(shapes):
            for second in shapes[:number]:
                assert first.intersection(second).area <= 0.03 * min(first.area, second.area)


def test_texts_have_no_blanks_and_small_words_are_ignored(shipped: tuple[SceneSettings, list[Scene]]) -> None:
    settings, scenes = shipped
    for _, instances in scenes:
        for instance in instances:
            assert instance.text
            assert not any(character.isspace() for character in instance.text)
            height = word_height(np.asarray(instance.polygon, dtype=np.float64))
            assert instance.ignore == (height < settings.ignore_height) or abs(height - settings.ignore_height) < 1e-3


def flat_background(size: tuple[int, int], *_: object) -> backgrounds.Background:
    grey = np.full((*size, 3), 128, dtype=np.float32)
    return backgrounds.Background(grey, np.ones(size, dtype=np.float32), np.ones(3, dtype=np.float32), softness=0.0)


def filled(shape: tuple[int, ...], polygon: np.ndarray) -> np.ndarray:
    """1 in the polygon; OpenCV's origin is the centre of the first pixel, that of polygons its corner."""
    mask = np.zeros(shape, dtype=np.uint8)
    return cv2.fillPoly(mask, [np.round((polygon - 0.5) * 16).astype(np.int32)], 1, shift=4)


@pytest.mark.parametrize("curved", [False, True])
def test_ink_lies_under_the_polygons(monkeypatch: pytest.MonkeyPatch, curved: bool) -> None:
    monkeypatch.setattr(backgrounds, "procedural", flat_background)
    values = {**CLEAN, "layout": {"curve_probability": float(curved), "perspective": 0.8, "text_height": [24, 60]}}
    scenes = make(values)
    points = set()
    for index in range(8):
        image, instances = scenes.scene(index)
        ink = (np.abs(image.astype(np.int32) - 128).max(axis=2) > 25).astype(np.uint8)
        inside, in_characters = np.zeros_like(ink), np.zeros_like(ink)
        for instance in instances:
            assert instance.polygon is not None
            points.add(len(instance.polygon))
            one = filled(ink.shape, instance.polygon)
            assert ink[one > 0].mean() > 0.1, "no ink where a word should be"
            inside |= one
            assert instance.characters is not None
            assert instance.text is not None
            assert len(instance.characters) == len(instance.text)
            for quad in instance.characters:
                one = filled(ink.shape, quad)
                assert ink[one > 0].mean() > 0.08, "no ink where a character should be, not even of a hyphen"
                in_characters |= one
        assert ink.sum() > 100
        assert (ink & inside).sum() >= 0.97 * ink.sum()
        assert (ink & in_characters).sum() >= 0.99 * ink.sum()
    assert points == {4, 14} if curved else {4}, "signs of three lines stay straight"


def test_polygons_are_tight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backgrounds, "procedural", flat_background)
    layout = {
        "curve_probability": 0,
        "perspective": 0,
        "rotation": [0, 0],
        "text_height": [40, 40],
        "polygon_margin": 0,
    }
    scenes = make({**CLEAN, "words": [1, 1], "layout": layout})
    for index in range(6):
        image, (instance,) = scenes.scene(index)
        ink = np.abs(image.astype(np.int32) - 128).max(axis=2) > 25
        columns, rows = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
        assert instance.polygon is not None
        box = np.concatenate([instance.polygon.min(axis=0), instance.polygon.max(axis=0)])
        inked = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(box, inked, atol=1.6)
        assert instance.characters is not None
        lows, highs = instance.characters.min(axis=1), instance.characters.max(axis=1)
        np.testing.assert_allclose([lows[:, 1].min(), highs[:, 1].max()], inked[1::2], atol=2.1)
        # Wide as they advance, so a little wider than the ink; neighbours follow each other and hardly overlap.
        np.testing.assert_allclose([lows[:, 0].min(), highs[:, 0].max()], inked[::2], atol=5)
        assert (np.diff(lows[:, 0]) > 0).all()
        assert (highs[:-1, 0] - lows[1:, 0] < 0.3 * (highs - lows)[1:, 0]).all()


def test_ignore_height_decides() -> None:
    layout = {"text_height": [16, 16], "lines": [1, 1], "perspective": 0, "rotation": [0, 0]}
    values: dict[str, object] = {"layout": layout, "text": {"upper": 1, "title": 0, "lower": 0, "unchanged": 0}}
    kept = [i.ignore for index in range(3) for i in make({**values, "ignore_height": 8}).scene(index)[1]]
    dropped = [i.ignore for index in range(3) for i in make({**values, "ignore_height": 24}).scene(index)[1]]
    assert len(kept) == len(dropped) > 3
    assert not any(kept)
    assert all(dropped)


def test_letters_stand_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backgrounds, "procedural", flat_background)
    scenes = make({**CLEAN, "layout": {"text_height": [40, 60]}, "words": [2, 3]})
    for index in range(6):
        image, instances = scenes.scene(index)
        light = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 0]
        for instance in instances:
            inside = np.zeros(light.shape, dtype=np.uint8)
            cv2.fillPoly(inside, [np.round(np.asarray(instance.polygon)).astype(np.int32)], 1)
            difference = np.abs(light[inside > 0] - light[0, 0])
            assert np.percentile(difference, 99) > 0.7 * 34, "paint is not fully opaque"


def test_a_word_larger_than_the_image_is_made_to_fit() -> None:
    values = {"width": [64, 64], "height": [64, 64], "words": [1, 1], "layout": {"text_height": [300, 300]}}
    words = ("incomprehensibilities", "a")
    scenes = make({**values, "text": {"list_length": [1, 30], "numbers": 0, "random": 0}}, words)
    written = set()
    for index in range(30):
        _, instances = scenes.scene(index)
        assert len(instances) == 1
        written.add(str(instances[0].text).lower())
    assert written == set(words)


def test_scenes_depend_on_seed_and_number_alone() -> None:
    values = {"width": [96, 128], "height": [96, 128], "words": [1, 3]}
    first, second = make(values), pickle.loads(pickle.dumps(make(values)))
    backward = {index: second.encoded_scene(index) for index in (3, 2, 1, 0)}
    for index in range(4):
        scene = first.encoded_scene(index)
        assert scene.data == backward[index].data
        assert [i.text for i in scene.instances] == [i.text for i in backward[index].instances]
    assert len({scene.data for scene in backward.values()}) == 4
    assert make(values, seed=1).encoded_scene(0).data != backward[0].data


def test_words_that_no_font_can_write_are_dropped_and_counted() -> None:
    values = {"width": [96, 96], "height": [96, 96], "words": [1, 1], "text": {"numbers": 0, "random": 0}}
    scenes = make(values, ("Open", "漢字", "Gate", "漢"))
    assert scenes.unwritable == ("漢字", "漢")
    texts = {str(scenes.scene(index)[1][0].text).lower() for index in range(12)}
    assert texts == {"open", "gate"}


def test_unicode_words_are_written_where_a_font_has_them() -> None:
    fonts = load_fonts().fonts
    if not any(fonts.supports(number, "жукиЖУКИñÑ") for number in range(len(fonts))):
        pytest.skip("no font on this machine has Cyrillic letters")
    settings = validate(SceneSettings, {"words": [2, 4], "text": {"numbers": 0, "random": 0}}, "test")
    scenes = SceneGenerator(settings, 0, FontLibrary([None, *fonts.paths]), ("жуки", "mañana"))
    texts = {str(i.text).lower() for index in range(4) for i in scenes.scene(index)[1]}
    assert texts == {"жуки", "mañana"}


def test_characters_that_no_font_has_are_reported() -> None:
    scenes = make({"text": {"listed": 0, "numbers": 0, "random": 1, "random_characters": "漢"}}, ())
    with pytest.raises(DataError, match="no font can write '漢"):
        scenes.scene(0)


def test_generator_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no font can write any of the 1 words"):
        make({}, ("漢字",))
    with pytest.raises(DataError, match="seed must be 0 or more, got -1"):
        make({}, seed=-1)
    with pytest.raises(DataError, match="none of the 0 listed words"):
        make({}, ())
    with pytest.raises(DataError, match="nowhere: is not a folder"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no image"):
        find_images(tmp_path)


def test_image_backgrounds_are_behind_the_signs(tmp_path: Path) -> None:
    red = np.zeros((90, 140, 3), dtype=np.uint8)
    red[..., 2] = 200  # OpenCV writes BGR
    cv2.imwrite(str(tmp_path / "red.png"), red)
    settings = validate(SceneSettings, {"width": [160, 160], "height": [120, 120], "words": [1, 1]}, "test")
    paths, _ = find_images(tmp_path)
    image, instances = SceneGenerator(settings, 0, FontLibrary([None]), WORDS, paths).scene(0)
    assert len(instances) == 1
    corner = image[:8, :8].reshape(-1, 3).mean(axis=0)
    assert corner[0] > 120 > 60 > corner[1:].max()
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    broken = SceneGenerator(settings, 0, FontLibrary([None]), WORDS, [tmp_path / "broken.jpg"])
    with pytest.raises(ImageError, match="broken.jpg"):
        broken.scene(0)
