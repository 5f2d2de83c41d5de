"""The benchmark of one card, at tiny sizes on the CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from scenetext.benchmark.card import largest_batch, matrix_rate, most_expensive_operators
from scenetext.benchmark.gpu import TINY, GpuBenchmark, Sizes
from scenetext.benchmark.stages import Result, StageRunner
from scenetext.detectors import detector_names
from scenetext.errors import DeviceError
from small_runs import make_set

CPU = torch.device("cpu")


def run_stages(folder: Path, records: Path, names: list[str], sizes: Sizes = TINY) -> dict[str, Result]:
    benchmark = GpuBenchmark(CPU, sizes, folder, records)
    stages = [stage for stage in benchmark.stages() if stage.name in names]
    assert len(stages) == len(names)
    deadline = time.monotonic() + 600
    return StageRunner(folder, benchmark.subject(), deadline, benchmark.page, clean=benchmark.clean).run(stages)


def metrics(result: Result, column: str) -> dict[str, float]:
    assert result.state == "done", result.message
    return {each["name"]: each["value"] for each in result.content["columns"][column]}


def test_step_is_measured_at_the_largest_batch_against_the_card(tmp_path: Path) -> None:
    results = run_stages(tmp_path, make_set(tmp_path, "train", 6), ["rates", "oclip", "operators", "waiting"])
    card, step = metrics(results["rates"], "card"), metrics(results["oclip"], "eager")
    assert step["images of a step"] == TINY.last_batch, "everything fits here"
    rate = step["training operations per image"] * 4 / step["training step"]  # GFLOP / ms = TFLOP/s
    assert step["rate"] == pytest.approx(rate)
    assert step["share of the matrix rate"] == pytest.approx(100 * rate / card["matrix products, fp32"])
    assert step["peak memory"] > 50
    operators = metrics(results["operators"], "a step")
    assert len(operators) == 11
    assert sum(list(operators.values())[:10]) <= operators["all operators"]
    assert any(name.startswith("aten::convolution_backward") for name in operators)
    assert 0 <= metrics(results["waiting"], "share of a step's time")["waiting for data"] <= 100
    page = (tmp_path / "report.md").read_text()
    assert "| matrix products, bf16, TFLOP/s | " in page
    assert "## Not measured" not in page


def test_stages_without_what_they_need_say_so(tmp_path: Path) -> None:
    results = run_stages(tmp_path, tmp_path / "gone.jsonl", ["operators", "oclip", "waiting"])
    assert results["oclip"].state == "done", "without a rate there is no share, and all else"
    assert "share of the matrix rate" not in metrics(results["oclip"], "eager")
    assert results["operators"].state == "done"
    assert "gone.jsonl: is not there" in results["waiting"].message
    alone = run_stages(tmp_path / "alone", tmp_path / "gone.jsonl", ["operators"])
    assert "the stage oclip has no result" in alone["operators"].message


@pytest.mark.parametrize("name", detector_names())
def test_every_detector_is_measured(tmp_path: Path, name: str) -> None:
    results = run_stages(tmp_path, tmp_path / "none.jsonl", [f"training_{name}", f"inference_{name}"])
    assert metrics(results[f"training_{name}"], name)["training"] > 0
    inference = metrics(results[f"inference_{name}"], name)
    expected = [f"{way}, batch {images}" for images in (1, 2) for way in ("forward", "forward and decoding")]
    assert [each for each in inference if "batch" in each] == expected


def test_tcm_is_measured_beside_dbnet(tmp_path: Path) -> None:
    result = run_stages(tmp_path, tmp_path / "none.jsonl", ["tcm"])["tcm"]
    assert list(result.content["columns"]) == ["dbnet", "tcm_dbnet", "fasttcm_dbnet"]
    assert metrics(result, "dbnet")["training, 2: speed over DBNet's"] == 1
    assert metrics(result, "fasttcm_dbnet")["inference, one image: speed over DBNet's"] > 0


@pytest.mark.slow
def test_compiled_models_are_measured_as_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the tracing of torch.compile alone: its code generation takes minutes on a CPU."""
    compiled = []

    def trace(module: nn.Module) -> None:
        compiled.append(module)
        module._compiled_call_impl = torch.compile(module._call_impl, backend="eager")

    monkeypatch.setattr(nn.Module, "compile", trace)
    names = ["rates", "oclip", "oclip_compiled", "inference_dbnet_compiled"]
    results = run_stages(tmp_path, tmp_path / "none.jsonl", names, replace(TINY, compiled=True))
    eager, traced = metrics(results["oclip"], "eager"), metrics(results["oclip_compiled"], "compiled")
    assert traced["training operations per image"] == eager["training operations per image"], "counted uncompiled"
    assert traced["images of a step"] == eager["images of a step"]
    assert all(result.state == "done" for result in results.values()), results
    assert len(compiled) == 1 + 2, "the image tower; encoder and head"


def out_of_memory_above(limit: int, wrap: bool = False) -> Callable[[int], None]:
    def step(images: int) -> None:
        if images <= limit:
            return
        error = torch.OutOfMemoryError("CUDA out of memory")
        if wrap:
            raise DeviceError("lower loader.batch_size") from error
        raise error

    return step


@pytest.mark.parametrize(
    ("limit", "found", "case"),
    [(100, 64, "between two"), (64, 64, "exactly"), (8, 8, "the first alone"), (10**6, 512, "the most that is tried")],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_largest_batch_is_found_by_doubling(limit: int, found: int, case: str) -> None:
    cleaned: list[Any] = []
    assert largest_batch(out_of_memory_above(limit), 8, 512, lambda: cleaned.append(None)) == found
    assert largest_batch(out_of_memory_above(limit, wrap=True), 8, 512, lambda: None) == found
    assert cleaned, "memory of a step that did not fit is given back"


def test_other_errors_than_of_memory_are_not_taken_for_one() -> None:
    def broken(images: int) -> None:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        largest_batch(broken, 8, 512, lambda: None)
    with pytest.raises(DeviceError, match="a step of 8 images does not fit"):
        largest_batch(out_of_memory_above(4), 8, 512, lambda: None)


def test_rate_is_that_of_the_products() -> None:
    def seconds(times: int) -> float:
        return 2 * times * 64**3 / 1e12 / matrix_rate("fp32", 64, times, 5, CPU).value

    assert seconds(2000) > 20 * seconds(10), "two hundred times the work"
    before = torch.get_float32_matmul_precision()
    matrix_rate("tf32", 16, 1, 1, CPU)
    assert torch.get_float32_matmul_precision() == before


def test_operators_are_those_of_one_step() -> None:
    left = torch.randn(200, 200)

    def step() -> None:
        torch.mm(left, left).exp_()

    found = {each.name: each.value for each in most_expensive_operators(step, CPU, steps=3, count=2)}
    assert set(found) == {"aten::mm, 1 calls", "aten::exp_, 1 calls", "all operators"}
