"""What the pictures of predictions say about themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scenetext.data.records.files import write_records
from scenetext.data.records.images import write_image
from scenetext.data.transforms.evaluation import EvaluationTransformSettings
from scenetext.data.transforms.training import TrainingTransformSettings
from scenetext.detectors import find_detector
from scenetext.encoders.clip_image import ClipResNet, ClipResNetSettings
from scenetext.inspection import pictures
from scenetext.structures import ImageRecord
from scenetext.tasks.detection import DetectionTask
from scenetext.tasks.evaluation_settings import EvaluationSettings


def test_maps_are_titled_as_what_the_head_gives_and_outlines_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads give logits: a title that called them probabilities would have a range beyond 0 and 1."""
    spec = find_detector("dbnet")
    task = DetectionTask(
        ClipResNet(ClipResNetSettings(layers=(1, 1, 1, 1), width=8)),
        spec,
        spec.config(inner_channels=8, level_channels=4),
        TrainingTransformSettings(size=(64, 64)),
        EvaluationTransformSettings(long_side=64, short_side=64),
        EvaluationSettings(),
    )
    outline = torch.tensor([[[4.0, 4.0], [40.0, 4.0], [40.0, 20.0]]])

    def maps(images: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = torch.linspace(-7, 5, images[0, 0].numel()).reshape(1, *images.shape[2:])
        return {"probability": logits, "outlines": outline[None]}

    titles: list[str] = []
    draw = pictures.sheet

    def sheet(drawn: Any, its_titles: Sequence[str], *others: Any) -> np.ndarray:
        titles.extend(its_titles)
        return draw(drawn, its_titles, *others)

    monkeypatch.setattr(task, "maps", maps)
    monkeypatch.setattr(pictures, "sheet", sheet)
    monkeypatch.setattr(pictures, "load_trained_task", lambda *_: (task, None, {}))
    write_image(tmp_path / "a.png", np.full((64, 64, 3), 99, np.uint8))
    write_records(tmp_path / "a.jsonl", [ImageRecord(tmp_path / "a.png", 64, 64, ())])
    shown = pictures.show_predictions(
        Path("best.pt"), [tmp_path / "a.jsonl"], 0.5, "cpu", pictures.Choice(1), tmp_path / "out"
    )
    assert shown.sheets[0].is_file()
    image, probability, outlines = titles
    assert image == "a.png, score >= 0.5"
    assert probability.startswith("probability (output of the head, before any sigmoid): -7")
    assert outlines.startswith("outlines")
    assert "sigmoid" not in outlines
