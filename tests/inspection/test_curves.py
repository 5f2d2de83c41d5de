from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenetext.errors import DataError
from scenetext.inspection.curves import read_curves, running_mean
from scenetext.training.log import RunLog


def test_curves_are_what_was_logged(tmp_path: Path) -> None:
    log = RunLog(tmp_path, 0, 4, "run")
    log.metrics("train", 2, {"loss": 3.0, "loss_rate": 1e-4})
    log.metrics("evaluation", 2, {"hmean": 0.25})
    log.metrics("train", 4, {"loss": math.nan, "loss_rate": 5e-5})
    log.close()
    curves, problems = read_curves(tmp_path)
    assert problems == []
    assert list(curves) == ["train/loss", "train/loss_rate", "evaluation/hmean"]
    assert curves["train/loss"].steps.tolist() == [2, 4]
    np.testing.assert_array_equal(curves["train/loss"].values, [3.0, math.nan])
    assert curves["evaluation/hmean"].values.tolist() == [0.25]


def test_steps_that_were_trained_again_count_as_the_last_time(tmp_path: Path) -> None:
    """Stopped after step 30, resumed after step 10 with another rhythm of logging."""
    steps_and_losses = [(10, 5.0), (20, 4.0), (30, 3.0), (15, 4.4), (30, 2.9), (45, 2.0)]
    lines = [json.dumps({"kind": "train", "step": step, "loss": loss}) for step, loss in steps_and_losses]
    lines.insert(3, json.dumps({"kind": "evaluation", "step": 10, "hmean": 0.5}))
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
    curve = read_curves(tmp_path)[0]["train/loss"]
    assert curve.steps.tolist() == [10, 15, 30, 45]
    assert curve.values.tolist() == [5.0, 4.4, 2.9, 2.0]


@pytest.mark.parametrize(
    "damage", ['{"kind": "train", "st', "[1, 2]", '{"kind": "train"}', '{"step": 3, "loss": 1}', "é\0"]
)
def test_damaged_lines_are_reported_and_passed_over(tmp_path: Path, damage: str) -> None:
    whole = json.dumps({"kind": "train", "step": 1, "loss": 2.0})
    (tmp_path / "log.jsonl").write_text(f"{whole}\n{damage}", encoding="utf-8")
    curves, problems = read_curves(tmp_path)
    assert curves["train/loss"].values.tolist() == [2.0]
    assert len(problems) == 1
    assert "log.jsonl:2: passed over" in problems[0]


def test_what_is_no_run_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: is not a run folder: log.jsonl cannot be read"):
        read_curves(tmp_path / "nowhere")
    (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(DataError, match="holds no values yet"):
        read_curves(tmp_path)


@given(st.lists(st.one_of(st.floats(-1e3, 1e3), st.just(math.nan)), max_size=30), st.integers(1, 40))
def test_running_mean_equals_a_loop(values: list[float], points: int) -> None:
    expected = []
    for end in range(1, len(values) + 1):
        finite = [value for value in values[max(0, end - points) : end] if math.isfinite(value)]
        expected.append(sum(finite) / len(finite) if finite else math.nan)
    np.testing.assert_allclose(running_mean(np.array(values, dtype=float), points), expected, atol=1e-9)
