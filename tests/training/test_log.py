from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from scenetext.data.records.images import read_image
from scenetext.errors import ImageError
from scenetext.training.log import RunLog


def test_pictures_are_kept_as_files_and_for_tensorboard(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0, 100, "test")
    for step, level in ((10, 50), (20, 200)):
        log.pictures(step, {"0_sign": np.full((8, 12, 3), level, dtype=np.uint8)})
    log.close()
    files = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "pictures").rglob("*.jpg"))
    assert files == ["pictures/0_sign/step_00000010.jpg", "pictures/0_sign/step_00000020.jpg"]
    assert read_image(tmp_path / files[1]).mean() == pytest.approx(200, abs=2)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    kept = events.Images("pictures/0_sign")
    assert [(image.step, image.width, image.height) for image in kept] == [(10, 12, 8), (20, 12, 8)]


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0, 100, "test")
    with pytest.raises(ImageError, match="expected uint8"):
        log.pictures(1, {"x": np.zeros((8, 12), dtype=np.uint8)})
    log.close()


def test_nothing_to_average_over_is_said_in_an_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = RunLog(tmp_path, 0, 100, "test")
    log.metrics("evaluation", 5, {"hmean": 0.0, "mean_score": math.nan})
    log.metrics("train", 5, {"loss": math.nan})
    log.close()
    evaluation, training = capsys.readouterr().err.splitlines()
    assert evaluation.endswith(": hmean 0  mean_score none")
    assert training.endswith(": loss nan")
