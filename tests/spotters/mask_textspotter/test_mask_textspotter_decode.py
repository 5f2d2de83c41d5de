"""From masks and readings to texts: polygons, character maps, suppression as published, and which reading is taken."""

from __future__ import annotations

import numpy as np
import pytest

from golden import golden_json
from scenetext.spotters.mask_textspotter.characters import read_maps
from scenetext.spotters.mask_textspotter.config import DecodingSettings, MaskTextSpotterSettings
from scenetext.spotters.mask_textspotter.decode import find_texts, mask_polygon, suppress_common_hulls
from spotting_golden import FOLDER, arrays_of
from text_samples import overlap

RIGHT = np.array((1.0, 0.0))
OURS, PUBLISHED = MaskTextSpotterSettings(), MaskTextSpotterSettings(published=True)


@pytest.mark.parametrize("case", range(5))
def test_polygons_are_the_published_ones(case: int) -> None:
    """But for the bicubic enlargement there: corners are off by a pixel at most, and rectangles are not cut to whole
    pixels here."""
    arrays = arrays_of("mask_polygons")
    mask, box = arrays[f"{case}/mask"], arrays[f"{case}/box"].astype(np.float32)
    polygon = mask_polygon(mask, box, DecodingSettings())
    rectangle = mask_polygon(mask, box, DecodingSettings(polygon_shape="quad"))
    if not len(arrays[f"{case}/polygon"]):
        assert polygon is None
        assert rectangle is None
        return
    assert polygon is not None
    assert rectangle is not None
    assert overlap(polygon, arrays[f"{case}/polygon"]) > 0.96
    assert overlap(rectangle, arrays[f"{case}/rectangle"]) > 0.94
    distances = np.linalg.norm(rectangle[:, None] - arrays[f"{case}/rectangle"][None], axis=2).min(axis=1)
    assert distances.max() < 2


def test_characters_are_read_as_published() -> None:
    arrays = arrays_of("char_maps")
    for index, name in enumerate(arrays["names"].tolist()):
        found = read_maps(arrays[f"{name}/probabilities"], PUBLISHED, RIGHT)
        word = "".join(PUBLISHED.characters.decode(each) for each in found.ids)
        text = arrays["texts"][index]
        assert word == text or (name == "same_x" and word == text[::-1]), name
        assert found.score == pytest.approx(float(arrays["scores"][index]), abs=2e-3), name


@pytest.mark.parametrize(
    ("name", "along", "expected"),
    [("ring", RIGHT, "on"), ("word", RIGHT, "stop"), ("word", -RIGHT, "pots"), ("empty", RIGHT, "")],
)
def test_holes_are_no_characters_and_the_order_is_that_of_the_text(name: str, along: np.ndarray, expected: str) -> None:
    found = read_maps(arrays_of("char_maps")[f"{name}/probabilities"], OURS, along)
    assert "".join(OURS.characters.decode(each) for each in found.ids) == expected
    assert found.probabilities.shape == (len(expected), 36)


@pytest.mark.parametrize("case", range(5))
def test_suppression_is_the_published_one(case: int) -> None:
    image = golden_json(FOLDER, "polygon_suppression.json")[case]
    polygons = [np.array(each, np.float32).reshape(-1, 2) for each in image["polygons"]]
    kept = suppress_common_hulls(polygons, image["scores"], 0.2)
    assert kept == np.flatnonzero(image["kept"]).tolist()


def place(
    word: str, score: float, character_word: str | None = None, box: tuple[float, ...] = (10, 10, 74, 42)
) -> dict[str, np.ndarray]:
    """A region that is all text, what the attention reads there, and perhaps what character maps show."""
    ids = [*OURS.characters.encode(word), 37]
    padded = np.full(8, -1)
    padded[: len(ids)] = ids
    distributions = np.zeros((8, 38), np.float32)
    distributions[np.arange(len(ids)), ids] = score
    made = {
        "box": np.array(box, np.float32),
        "text": np.float32(3),
        "logits": np.full((64, 64), 10, np.float32),
        "ids": padded,
        "probabilities": np.where(padded >= 0, score, 0),
        "distributions": distributions,
    }
    if character_word is not None:
        maps = np.zeros((37, 64, 64), np.float32)
        maps[0] = 10
        for index, identity in enumerate(OURS.characters.encode(character_word)):
            left = 4 + 14 * index
            maps[0, 20:40, left : left + 8] = 0
            maps[identity, 20:40, left : left + 8] = 10
        made["characters"] = maps
    return made


def texts(*places: dict[str, np.ndarray], **decoding: float) -> list[tuple[str | None, float | None]]:
    config = OURS.model_copy(update={"decoding": OURS.decoding.model_copy(update=decoding)})
    stacked = {name: np.stack([each[name] for each in places]) for name in places[0]}
    return [(one.text, one.text_score) for one in find_texts(stacked, config)]


def test_the_better_reading_is_taken() -> None:
    assert texts(place("cat", 0.9)) == [("cat", pytest.approx(0.9))]
    assert texts(place("cat", 0.9, "dog")) == [("dog", pytest.approx(1.0, abs=5e-3))]
    assert texts(place("cat", 1.0, "dog")) == [("cat", pytest.approx(1.0))]
    assert texts(place("", 0.7)) == [("", pytest.approx(0.7))]


@pytest.mark.parametrize("key", ["least_reading_score", "least_character_score"])
def test_uncertain_readings_can_be_dropped(key: str) -> None:
    assert texts(place("cat", 0.8, "")) == [("cat", pytest.approx(0.8))]
    assert texts(place("cat", 0.8, ""), **{key: 0.85}) == []


def test_detections_have_polygon_scores_and_distributions() -> None:
    stacked = {name: value[None] for name, value in place("cat", 0.9).items()}
    (found,) = find_texts(stacked, OURS)
    assert overlap(found.polygon, np.array([(10, 10), (74, 10), (74, 42), (10, 42)])) > 0.9
    assert found.score == pytest.approx(0.9526, abs=1e-3)
    assert found.character_probabilities is not None
    assert found.character_probabilities.shape == (3, 36)
    assert (found.character_probabilities.argmax(axis=1) + 1).tolist() == OURS.characters.encode("cat")


def test_of_equal_places_the_one_that_is_read_better_stays() -> None:
    one, other = place("cat", 0.6), place("dog", 0.9, box=(12, 10, 74, 42))
    assert [word for word, _ in texts(one, other, overlap_score="reading")] == ["dog"]  # type: ignore[arg-type]
