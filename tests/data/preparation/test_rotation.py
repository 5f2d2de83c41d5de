"""Turned test images: no text is cut, and what is written at a place is still there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenetext.commands import run_words
from scenetext.data.preparation.rotation import turned, write_turned
from scenetext.data.records.files import RecordFiles, write_records
from scenetext.data.records.images import read_image, write_image
from scenetext.data.records.samples import whole_sample
from scenetext.errors import DataError
from scenetext.structures import ImageRecord, TextInstance

WORD = np.array([(0, 0), (30, 0), (30, 10), (0, 10)], np.float32)
CHARACTERS = np.array([[(0, 0), (15, 0), (15, 10), (0, 10)], [(15, 0), (30, 0), (30, 10), (15, 10)]], np.float32)


def image() -> np.ndarray:
    """A white word in the corner of a grey image of 80 x 40."""
    pixels = np.full((40, 80, 3), 90, np.uint8)
    pixels[:10, :30] = 255
    return pixels


@pytest.mark.parametrize(
    ("degrees", "size", "corners"),
    [
        (90, (80, 40), [(40, 0), (40, 30), (30, 30), (30, 0)]),
        (-90, (80, 40), [(0, 80), (0, 50), (10, 50), (10, 80)]),
        (180, (40, 80), [(80, 40), (50, 40), (50, 30), (80, 30)]),
        (0, (40, 80), WORD.tolist()),
    ],
)
def test_right_angles_move_every_corner_to_where_it_belongs(
    degrees: float, size: tuple[int, int], corners: list[tuple[float, float]]
) -> None:
    word = TextInstance(WORD, "ab", characters=CHARACTERS)
    found = turned(whole_sample(image(), Path("a.png"), [word]), degrees)
    assert found.image.shape[:2] == size
    (instance,) = found.instances
    assert instance.polygon == pytest.approx(np.array(corners), abs=1e-3)
    assert instance.characters is not None
    assert instance.characters[0, 0] == pytest.approx(instance.polygon[0], abs=1e-3)
    assert instance.text == "ab"
    low, high = instance.polygon.min(axis=0).round().astype(int), instance.polygon.max(axis=0).round().astype(int)
    assert (found.image[low[1] : high[1], low[0] : high[0]] == 255).all(), "the word is where its polygon is"
    assert (found.image == 255).sum() == 900


@pytest.mark.parametrize("degrees", [45, 60, -85, 15])
def test_the_canvas_grows_so_that_no_text_is_cut(degrees: float) -> None:
    """Words in all four corners."""
    corners = [WORD + np.float32(shift) for shift in ((0, 0), (50, 0), (50, 30), (0, 30))]
    found = turned(whole_sample(image(), Path("a.png"), [TextInstance(each, "ab") for each in corners]), degrees)
    assert len(found.instances) == 4
    angle = np.deg2rad(abs(degrees))
    assert found.image.shape[1] == np.ceil(80 * np.cos(angle) + 40 * np.sin(angle))
    for instance in found.instances:
        assert not instance.ignore
        assert instance.polygon is not None
        assert len(instance.polygon) == 4
        assert np.linalg.norm(instance.polygon[1] - instance.polygon[0]) == pytest.approx(30, abs=1e-3)
        middle = instance.polygon.mean(axis=0).astype(int)
        assert found.image[middle[1], middle[0]].min() >= 90, "not the black of new corners"


def test_command_writes_turned_images_and_their_records(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "test" / "a.png", image())
    record = ImageRecord(tmp_path / "test" / "a.png", 80, 40, (TextInstance(WORD, "ab"),))
    write_records(tmp_path / "test.jsonl", [record])
    run_words(["prepare", "rotated", str(tmp_path / "test.jsonl"), "--degrees", "45", "--output", str(tmp_path / "45")])
    assert "1 images, turned by 45 degrees" in capsys.readouterr().out
    (written,) = RecordFiles([tmp_path / "45" / "records.jsonl"])
    assert read_image(written.path).shape[:2] == (written.height, written.width) == (85, 85)
    with pytest.raises(DataError, match="is named like"):
        write_turned([record, ImageRecord(tmp_path / "a.png", 80, 40, ())], tmp_path / "twice", 45)
