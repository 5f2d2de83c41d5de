"""Without a GPU, the tests of tests/gpu are skipped and say why; test_gpu_script.py runs them on the CPU."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from checkout import REPOSITORY


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: they run")
def test_without_a_gpu_they_are_skipped_with_the_reason() -> None:
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-rs", "-p", "no:cacheprovider", "tests/gpu"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "torch sees no GPU here; --gpu-device cpu tries these tests on the CPU" in done.stdout
    assert " passed" not in done.stdout
