from __future__ import annotations

import pytest

from scenetext.commands import run_words

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_every_way_is_timed_and_compared_with_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    run_words(
        [
            "benchmark",
            "inference",
            "dbnet",
            "scenes",
            "tiny",
            "--size",
            "64",
            "96",
            "--repetitions",
            "1",
            "--clock",
            "processor",
        ]
    )
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    differences = {row[0]: float(row[3]) for row in rows[1:]}
    assert differences.pop("PyTorch, as trained") == 0
    assert differences.pop("PyTorch, folded") < 1e-5
    assert differences.pop("ONNX Runtime") < 1e-5
    assert all(0 < each < 0.3 for each in differences.values())
    assert "ONNX Runtime, int8" in differences
