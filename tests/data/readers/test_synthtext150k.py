"""SynthText150k: curves, and words spelled in indices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dataset_files import (
    FLAT,
    IMAGE,
    POINTS,
    WORD,
    content_of,
    counts,
    edit,
    outline,
    polygons,
    read_folder,
    write_json,
    write_photo,
)
from published_folders import BUILDERS
from scenetext.data.readers import synthtext150k
from scenetext.data.readers.character_indices import Spelling, find_spelling
from scenetext.data.readers.instances import EMPTY_TEXT


def test_bezier_curves_become_outlines() -> None:
    straight = np.array([[0, 0], [10, 0], [20, 0], [30, 0], [30, 10], [20, 10], [10, 10], [0, 10]], dtype=np.float64)
    outline = synthtext150k.bezier_polygon(straight)
    assert outline.shape == (16, 2)
    assert outline.dtype == np.float32
    np.testing.assert_allclose(outline[:8, 0], np.linspace(0, 30, 8), atol=1e-5)
    np.testing.assert_allclose(outline[:8, 1], 0, atol=1e-6)
    np.testing.assert_allclose(outline[8:], outline[7::-1] + np.array([0, 10]), atol=1e-5)
    arch = np.concatenate([[[0, 0], [0, 40], [30, 40], [30, 0]], straight[4:] + np.array([0, 60])])
    for t, point in zip(np.linspace(0, 1, 8), synthtext150k.bezier_polygon(arch), strict=False):
        x = 3 * 30 * t**2 * (1 - t) + 30 * t**3
        np.testing.assert_allclose(point, [x, 120 * t * (1 - t)], atol=1e-4)


def test_synthtext150k_outlines_of_three_sorts_and_spelled_words(tmp_path: Path) -> None:
    BUILDERS["synthtext150k"][0](tmp_path)
    polygon = np.ravel(outline(10)).tolist()
    fill = [96] * 20
    base = {"image_id": 1, "iscrowd": 0, "bbox": [1, 2, 29, 10], "segmentation": [FLAT]}
    words = [
        {**base, "polys": polygon, "rec": [33, 66, *fill]},
        {**base, "rec": [0, 94, *fill]},
        {**base, "rec": [33, 95, *fill]},
        {**base, "rec": fill},
        {**base, "iscrowd": 1, "rec": [33, *fill]},
        base,
    ]
    edit(tmp_path / "syntext1/annotations/train.json", lambda content: content.update(annotations=words))
    (record,), report = read_folder("synthtext150k", tmp_path)["syntext1"]
    unknown = (None, False)
    assert content_of(record) == [("Ab", False), ("~", False), unknown, unknown, (None, True), unknown]
    assert polygons(record)[:2] == [outline(10), POINTS]
    assert counts(report.noted) == {synthtext150k.FOREIGN: 1, EMPTY_TEXT: 1}


SENTENCES = """Scene text detection and recognition read words in images of streets and shops; the synthetic images of
this set have words of English news pages, drawn along curves, so most of their letters are those that English has most
often (e, t, a, o, n) whatever the case, with some numbers such as 150 or 2020 between them and a few marks."""


def spelled(word: str, shift: int, fill: int) -> list[int]:
    indices = [ord(character) - 32 + shift for character in word]
    return [*indices, *[fill] * (25 - len(indices))]


@pytest.mark.parametrize(("shift", "fill"), [(0, 96), (1, 0), (1, 97), (1, 96), (2, 0), (9, 107), (-1, 95)])
@pytest.mark.parametrize("case", [str, str.upper])
def test_indices_that_are_moved_by_a_constant_are_recognised(
    tmp_path: Path, shift: int, fill: int, case: Callable[[str], str]
) -> None:
    """Nothing but the words tells: SwinTextSpotter's files look like AdelaiDet's."""
    words = [case(word) for word in SENTENCES.split()]
    annotations = [{**WORD, "polys": FLAT, "rec": spelled(one, shift, fill)} for one in words]
    write_photo(tmp_path / "syntext1" / "images" / "img_1.jpg")
    content = {"images": [IMAGE], "annotations": annotations}
    write_json(tmp_path / "syntext1" / "annotations" / "train.json", content)
    (record,), report = read_folder("synthtext150k", tmp_path)["syntext1"]
    assert [instance.text for instance in record.instances] == words
    assert counts(report.noted) == ({synthtext150k.SHIFTED.format(shift): len(words)} if shift else {})


def test_a_few_words_are_not_enough_to_find_a_shift() -> None:
    lists = [spelled("deep", 1, 96)] * 20
    assert find_spelling(lists) == Spelling()
    assert find_spelling([]) == Spelling()
