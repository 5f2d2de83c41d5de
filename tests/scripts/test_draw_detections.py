"""The picture of the README: images beside each other with what a model finds in them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from draw_detections import TILE_WIDTH, main
from scenetext.data.records.images import read_image, write_image
from scenetext.inference import TextDetector
from scenetext.structures import Detection

SQUARE = np.array([(20, 20), (80, 20), (80, 60), (20, 60)], np.float32)


class Found:
    """A detector that finds one certain and one uncertain text everywhere."""

    task = SimpleNamespace(evaluation=SimpleNamespace(threshold=0.5))

    def __call__(self, image: np.ndarray) -> list[Detection]:
        return [Detection(SQUARE, 0.9), Detection(SQUARE + 30, 0.2)]


def test_images_stand_beside_each_other_with_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(TextDetector, "load", lambda *arguments: asked.append(arguments) or Found())
    paths = [tmp_path / f"{name}.png" for name in "ab"]
    for path in paths:
        write_image(path, np.full((100, 120, 3), 200, np.uint8))
    main(["best.pt", "--images", *map(str, paths), "--output", str(tmp_path / "made" / "picture.png")])
    assert asked == [(Path("best.pt"), "cpu")]
    picture = read_image(tmp_path / "made" / "picture.png")
    assert picture.shape[1] >= 2 * TILE_WIDTH
    outlined = np.ptp(picture.astype(int), axis=2) > 60
    columns = outlined.any(axis=0)
    assert columns[:TILE_WIDTH].any()
    assert columns[TILE_WIDTH + 20 :].any()
    assert outlined[: round(0.65 * len(picture))].any()
    assert not outlined[round(0.65 * len(picture)) :].any(), "the uncertain text is not drawn"
