"""The sheet of samples: which images are on it, and that polygons lie where the record says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenetext.data.records.images import read_image, write_image
from scenetext.drawing.detections import HIT, IGNORED
from scenetext.inspection.sample_sheet import TILE_WIDTH, write_sample_sheet
from scenetext.structures import ImageRecord, TextInstance

SQUARE = np.array([[200, 100], [600, 100], [600, 300], [200, 300]], dtype=np.float32)


def photo(path: Path, *instances: TextInstance, width: int = 960, height: int = 480) -> ImageRecord:
    write_image(path, np.full((height, width, 3), 40, dtype=np.uint8))
    return ImageRecord(path, width, height, instances)


def ruled_by(picture: np.ndarray, channel: int) -> np.ndarray:
    """(n, 2) pixels (x, y) in which a channel is the strongest by far: thin lines are blended with what is below."""
    others = np.delete(picture.astype(int), channel, axis=2).max(axis=2)
    rows, columns = np.nonzero(picture[..., channel] - others > 25)
    return np.stack([columns, rows], axis=1)


@pytest.mark.parametrize("width", [960, 240], ids=["larger than its tile", "smaller"])
def test_outlines_are_scaled_with_their_images(tmp_path: Path, width: int) -> None:
    square = SQUARE * width / 960
    word = TextInstance(square, None)
    ignored = TextInstance(square + np.float32([width / 4, width / 8]), None, ignore=True)
    record = photo(tmp_path / "a.png", word, ignored, width=width, height=width // 2)
    assert write_sample_sheet(tmp_path / "sheet.png", [record]) == []
    picture = read_image(tmp_path / "sheet.png")
    # The legend below the tile has a patch of each colour.
    tile = picture[: picture.shape[0] - 40]
    assert HIT[1] == max(HIT)
    assert IGNORED[2] == max(IGNORED)
    green, blue = ruled_by(tile, 1), ruled_by(tile, 2)
    assert np.ptp(green[:, 0]) == pytest.approx(400 * TILE_WIDTH / 960, abs=6)
    assert np.ptp(green[:, 1]) == pytest.approx(200 * TILE_WIDTH / 960, abs=6)
    shift = np.array([240, 120]) * TILE_WIDTH / 960
    np.testing.assert_allclose(blue.max(axis=0) - green.max(axis=0), shift, atol=6)


def test_a_sheet_shows_some_of_many_and_the_same_every_time(tmp_path: Path) -> None:
    records = [photo(tmp_path / f"{number}.jpg") for number in range(30)]
    write_sample_sheet(tmp_path / "one.png", records, count=5)
    write_sample_sheet(tmp_path / "two.png", records, count=5)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    for record in records:
        record.path.unlink()
    assert len(write_sample_sheet(tmp_path / "three.png", records, count=5)) == 5


def test_words_without_a_place_and_foreign_ones_are_no_trouble(tmp_path: Path) -> None:
    without_polygon = photo(tmp_path / "a.jpg", TextInstance(None, "中国银行"), TextInstance(None, "OPEN"))
    foreign = photo(tmp_path / "b.jpg", TextInstance(SQUARE, "中国银行"), TextInstance(SQUARE + 100, "OPEN"))
    assert write_sample_sheet(tmp_path / "sheet.jpg", [without_polygon, foreign]) == []
    assert (tmp_path / "sheet.jpg").is_file()


def test_images_that_cannot_be_decoded_are_returned_and_a_sheet_of_none_is_not_written(tmp_path: Path) -> None:
    record = photo(tmp_path / "a.jpg")
    record.path.write_bytes(record.path.read_bytes()[:-2])
    (error,) = write_sample_sheet(tmp_path / "sheet.jpg", [record])
    assert "a.jpg" in str(error)
    assert not (tmp_path / "sheet.jpg").exists()
    assert write_sample_sheet(tmp_path / "sheet.jpg", []) == []
    assert not (tmp_path / "sheet.jpg").exists()
