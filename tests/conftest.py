"""Shared fixtures, and how hypothesis draws its examples."""

from __future__ import annotations

import os
from pathlib import Path

# Small tensors are faster on one thread, and several threads starve each other where the machine is busy. Has to be set
# before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest

from checkout import REPOSITORY

# CI draws the same examples every time, so that a change is judged by what it changed; everywhere else hypothesis
# explores. No deadlines: machines are shared.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "explore")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=200, metavar="N", help="damaged files for every parser (default: 200)")
    parser.addoption("--gpu-device", choices=["cpu", "cuda"], help="where tests/gpu run; cpu tries them at tiny size")


@pytest.fixture
def fuzz_times(request: pytest.FixtureRequest) -> int:
    """How many damaged files every parser gets."""
    return int(request.config.getoption("--fuzz"))


@pytest.fixture
def repository() -> Path:
    return REPOSITORY
