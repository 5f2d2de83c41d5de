"""What `scenetext detect` prints when it is done."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scenetext.commands import run_words
from scenetext.data.records.images import write_image
from scenetext.data.transforms.evaluation import EvaluationTransformSettings
from scenetext.geometry.candidates import count_cut
from scenetext.inference import TextDetector
from scenetext.structures import Detection

WORD = Detection(np.array([(5, 5), (40, 5), (40, 20), (5, 20)], dtype=np.float32), 0.9)


class Detector:
    inference = "network: none"
    """Finds one word in every image, among so many candidates more than it may look at."""

    def __init__(self, more: int) -> None:
        self.more = more
        size = EvaluationTransformSettings(long_side=64, short_side=64)
        self.task = SimpleNamespace(evaluation=SimpleNamespace(threshold=0.5), evaluation_transform=size)

    def __call__(self, image: np.ndarray, *frame: Any) -> list[Detection]:
        count_cut(self.more)
        return [WORD]


@pytest.mark.parametrize("more", [0, 12])
def test_candidates_beyond_the_limit_are_reported(
    more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*arguments: Any) -> Detector:
        return Detector(more)

    monkeypatch.setattr(TextDetector, "load", load)
    (tmp_path / "best.pt").touch()
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.png", np.full((30, 50, 3), 200, np.uint8))
    images = [str(tmp_path / f"{name}.png") for name in ("a", "b")]
    assert run_words(["detect", str(tmp_path / "best.pt"), *images, "--output", str(tmp_path / "found")]) == 0
    printed = capsys.readouterr().out
    assert "2 texts with a score of 0.5 or more in 2 of 2 images" in printed
    assert ("2 times: 24 of them" in printed) is (more > 0)
