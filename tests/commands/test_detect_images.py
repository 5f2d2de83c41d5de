"""Which images `scenetext detect` looks at, and in which frame it gives what it found."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image

from scenetext.commands.detect import detect_all, draw_upright, find_images, print_others
from scenetext.commands.detection_journal import DetectionJournal
from scenetext.data.records.images import read_image, read_with_orientation
from scenetext.data.transforms.evaluation import EvaluationTransformSettings
from scenetext.errors import DataError
from scenetext.inference import TextDetector
from scenetext.structures import Detection

WIDTH, HEIGHT = 60, 40
BOX = np.array([[5, 10], [25, 10], [25, 30], [5, 30]], dtype=np.float32)


def photo(path: Path, orientation: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (WIDTH, HEIGHT), "grey").save(path, format="jpeg", exif=exif)
    return path


def test_images_of_subfolders_links_and_odd_suffixes_are_found_and_the_rest_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "f"
    seen = [photo(folder / name) for name in ("a.jpg", "b.JFIF", "c.jpe", "sub/e.jpg")]
    photo(tmp_path / "elsewhere" / "g.jpg")
    (folder / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "circle").symlink_to(folder, target_is_directory=True)
    for name in ("b.HEIC", "notes.txt", "more.txt", "plain"):
        (folder / name).write_bytes(b"x")
    photo(folder / ".hidden.jpg")
    photo(folder / "out" / "drawn" / "a.jpg")
    named = photo(tmp_path / "image")
    images, others = find_images([folder, named, folder / "a.jpg"], folder / "out")
    assert sorted(images) == sorted([*seen, folder / "linked" / "g.jpg", named])
    print_others(others)
    assert capsys.readouterr().out.splitlines() == [
        "not looked at: 1 files with .heic: b.HEIC",
        "not looked at: 2 files with .txt: more.txt, notes.txt",
        "not looked at: 1 files with no suffix: plain",
    ]
    with pytest.raises(DataError, match="no images"):
        find_images([tmp_path / "f" / "out" / "drawn"], folder / "out")


class OneBox:
    """Stands for a detector: finds one box in the upright image, and says so in stored pixels."""

    task = argparse.Namespace(evaluation_transform=EvaluationTransformSettings(long_side=64, short_side=64))

    def __call__(self, image: np.ndarray, orientation: int) -> list[Detection]:
        return [Detection(BOX, 0.9)]


def test_detections_are_in_stored_pixels_and_drawn_upright(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg", orientation=6)
    with DetectionJournal(tmp_path / "out" / "partial.jsonl", {}) as journal:
        found = detect_all(cast("TextDetector", OneBox()), [path], 0.5, tmp_path / "out", journal)
    np.testing.assert_array_equal(found[path][0].polygon, BOX)
    drawn = read_image(tmp_path / "out" / "drawn" / "a.jpg")
    assert drawn.shape[0] * HEIGHT == drawn.shape[1] * WIDTH, "upright; small images are drawn larger"
    pixels, orientation = read_with_orientation(path)
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert orientation == 6
    enlarged = draw_upright(pixels, 6, found[path])
    rows, columns = np.nonzero((enlarged != 128).any(axis=2))
    scale = len(enlarged) / WIDTH
    # x of the upright image is height - y of the stored one, y is its x
    assert rows.max() / scale == pytest.approx(25, abs=2)
    assert columns.min() / scale == pytest.approx(10, abs=2)


def test_an_image_that_only_pretends_to_be_a_jpeg_is_named(tmp_path: Path) -> None:
    path = tmp_path / "f.jpg"
    path.write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(DataError, match=r"f\.jpg: .*a HEIC image, .*convert it to JPEG"):
        read_image(path)
