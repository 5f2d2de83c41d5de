"""The device of these tests, and a clear reason where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# cuBLAS reads it at its first use, long before the test of deterministic runs.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import pytest
import torch

from device_subjects import Size
from scenetext.training.device import missing_kernels


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reason = None if config.getoption("--gpu-device") == "cpu" else _why_no_gpu()
    for item in items:
        if reason is not None and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


def _why_no_gpu() -> str | None:
    if not torch.cuda.is_available():
        return "torch sees no GPU here; --gpu-device cpu tries these tests on the CPU, at tiny size"
    return missing_kernels(torch.device("cuda", 0))


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """The GPU, with TF32 off, so that fp32 means it; the CPU under `--gpu-device cpu`."""
    if request.config.getoption("--gpu-device") == "cpu":
        yield torch.device("cpu")
        return
    torch.set_num_threads(len(os.sched_getaffinity(0)))  # the CPU's numbers are wanted at real sizes
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield torch.device("cuda", 0)
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def gpu(device: torch.device) -> torch.device:
    """A true GPU; skips the calling test under `--gpu-device cpu`."""
    if device.type != "cuda":
        pytest.skip("says nothing on a CPU")
    return device


@pytest.fixture
def size(device: torch.device) -> Size:
    """Published widths on a GPU, tiny ones on a CPU."""
    return "real" if device.type == "cuda" else "tiny"
