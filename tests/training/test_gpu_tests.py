"""The tests of tests/gpu are tried on the CPU themselves, a part of them, so that they do not rot without a GPU."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from conftest import REPOSITORY

PART = (
    "pan and (those_of_the_cpu or half_precision or finds_in or deterministic_form or maps_lie)"
    " or overflow or accumulation or same_numbers or decoding"
)


def run_gpu_tests(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-rs", "-p", "no:cacheprovider", "tests/gpu"]
    return subprocess.run([*command, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=900)


@pytest.mark.slow
def test_a_part_of_the_gpu_tests_passes_on_the_cpu() -> None:
    done = run_gpu_tests("--gpu-device", "cpu", "-k", PART)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: they run")
def test_without_a_gpu_they_are_skipped_with_the_reason() -> None:
    done = run_gpu_tests()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "torch sees no GPU here; --gpu-device cpu tries these tests on the CPU" in done.stdout
    assert " passed" not in done.stdout
